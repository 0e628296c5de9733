/// A self-signed certificate for `localhost` and 127.0.0.1 with its key, made anew by `openssl`, gone with the value.
public final class TestCertificate: Sendable {
    private let folder: TemporaryFolder

    /// PEM: what a server shows, and what a client is told to trust.
    public var certificatePath: String { folder.file("certificate.pem") }
    public var keyPath: String { folder.file("key.pem") }

    public static func make() async throws -> TestCertificate {
        let made = TestCertificate(folder: try TemporaryFolder("quittance-certificate"))
        let openssl = try await ProcessFixture.start(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", made.keyPath, "-out", made.certificatePath,
            ])
        guard try await openssl.waitForExit() == .exited(0) else { throw FixtureError("openssl made no certificate:\n\(openssl.transcript)") }
        return made
    }

    private init(folder: TemporaryFolder) { self.folder = folder }
}

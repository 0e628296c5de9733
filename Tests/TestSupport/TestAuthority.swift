/// An authority of its own for one test, that signs certificates for servers and clients by `openssl`; gone with the value.
public final class TestAuthority: Sendable {
    private let folder: TemporaryFolder

    /// PEM: what those trust who trust this authority.
    public var certificatePath: String { folder.file("authority.pem") }
    public var certificateText: String { String(decoding: folder.read("authority.pem") ?? [], as: UTF8.self) }
    private var keyPath: String { folder.file("authority.key") }

    /// A certificate in PEM form and its key.
    public struct Signed: Sendable {
        public let certificatePath: String
        public let keyPath: String
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    public static func make() async throws -> TestAuthority {
        let made = TestAuthority(folder: try TemporaryFolder("quittance-authority"))
        try await run(
            ["req", "-x509"] + newKey + [
                "-days", "2", "-subj", "/CN=Authority of a test", "-keyout", made.keyPath, "-out", made.certificatePath,
            ])
        return made
    }

    private init(folder: TemporaryFolder) { self.folder = folder }

    /// Signs a new certificate.
    /// - Parameters:
    ///   - names: whom it names, as `DNS:localhost` or `IP:127.0.0.1`.
    ///   - days: how long it is good; a negative number makes one that has expired.
    public func sign(_ name: String, names: [String] = ["DNS:localhost", "IP:127.0.0.1"], days: Int = 2) async throws -> Signed {
        let signed = Signed(certificatePath: folder.file("\(name).pem"), keyPath: folder.file("\(name).key"))
        let request = folder.file("\(name).request")
        try await Self.run(
            ["req"] + Self.newKey + [
                "-subj", "/CN=\(name)", "-addext", "basicConstraints=critical,CA:FALSE", "-addext",
                "subjectAltName=\(names.joined(separator: ","))", "-keyout", signed.keyPath, "-out", request,
            ])
        try await Self.run([
            "x509", "-req", "-in", request, "-CA", certificatePath, "-CAkey", keyPath, "-CAcreateserial", "-copy_extensions", "copyall", "-days",
            "\(days)", "-out", signed.certificatePath,
        ])
        return signed
    }

    private static func run(_ arguments: [String]) async throws {
        let openssl = try await ProcessFixture.start("openssl", arguments)
        guard try await openssl.waitForExit() == .exited(0) else { throw FixtureError("openssl made no certificate:\n\(openssl.transcript)") }
    }
}

import TestSupport
import Testing

@Suite("The settings of a live installation")
struct ProductionEnvironmentTests {
    private static let path = "deploy/production.env.example"

    /// Every placeholder with a value of its own. What comments say of placeholders is none.
    private static func filled(_ whole: String) -> String {
        let text = whole.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined(separator: "\n")
        var result = ""
        var rest = text[...]
        var count = 0
        while let open = rest.firstIndex(of: "<"), let close = rest[open...].firstIndex(of: ">") {
            count += 1
            let word = rest[rest.index(after: open)..<close]
            result += rest[..<open]
            switch word {
            case "secret of standard webhooks": result += "cXVpdHRhbmNlIHByb2R1Y3Rpb24gc2VjcmV0IQ=="
            case "site of cinetpay": result += "445160"
            case "public name", "mail server", "payment back end": result += "host\(count).example.com"
            default: result += "value-\(count)-0123456789abcdef0123456789abcdef"
            }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    private static func migrate(_ text: String) async throws -> ScriptResult {
        let folder = try TemporaryFolder("quittance-production")
        // The folders of the machine are not the test's to write.
        let own = text.replacing("/var/lib/quittance", with: folder.path).replacing("/srv/backup/quittance", with: folder.file("backup"))
        let file = try folder.write(own, to: "env")
        let result = try await Script.run("deploy/with-env '\(try builtProduct("quittance"))' migrate", environment: ["ENV_FILE": file])
        // The folder goes with its last use.
        withExtendedLifetime(folder) {}
        return result
    }

    @Test("once filled in, the programs start with it")
    func filledIn() async throws {
        let result = try await Self.migrate(Self.filled(try SourceTree.text(Self.path)))
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("quittance-production"), "\(result.output)")
    }

    @Test("as it is, they refuse it")
    func asItIs() async throws {
        let result = try await Self.migrate(try SourceTree.text(Self.path))
        #expect(result.status == 78)
        for name in ["SECRET_KEY", "REDIS_URL"] { #expect(result.errors.contains(name), "\(result.errors)") }
    }

    @Test("nothing of the sandbox is in it, no address of another machine but examples, and every variable is one that is known")
    func noSandbox() throws {
        let known = try SourceTree.lines(".env.example").compactMap { line in
            line.hasPrefix("#") ? line.dropFirst().split(separator: "=", maxSplits: 1).first : nil
        }
        for line in try SourceTree.lines(Self.path) where !line.hasPrefix("#") && !line.isEmpty {
            let name = try #require(line.split(separator: "=").first)
            #expect(known.contains(name), "\(name)")
            #expect(!line.lowercased().contains("sandbox") && !line.contains("8082") && !line.contains("8025"), "\(line)")
            #expect(!name.hasPrefix("PROVIDER_MODE_") || line.hasSuffix("=live"), "\(line)")
        }
    }
}

import TestSupport
import Testing

@Suite("The systemd units")
struct SystemdTests {
    private static let folder = "deploy/systemd"
    private static let installed = "/usr/local/lib/quittance/"

    /// Programs of the Procfile that run in production.
    private static func programs() throws -> [String] {
        try SourceTree.names(in: "Sources/Programs").filter { !["quittance", "bench", "chaos", "sandbox"].contains($0) }
    }

    /// A program's unit; one whose name begins with the product's does not say it twice.
    private static func unit(_ program: String) -> String {
        "\(folder)/\(program.hasPrefix("quittance-") ? program : "quittance-\(program)")@.service"
    }

    @Test("there is a template for each program that runs all the time, which starts it, and all belong to the target")
    func onePerExecutable() throws {
        for program in try Self.programs() {
            let path = Self.unit(program)
            try #require(SourceTree.exists(path), "\(path) is missing")
            let lines = try SourceTree.lines(path)
            #expect(lines.contains("ExecStart=\(Self.installed)\(program)"), "\(path)")
            for line in ["Type=exec", "PartOf=quittance.target", "WantedBy=quittance.target"] {
                #expect(lines.contains(line[...]), "\(path): \(line)")
            }
        }
    }

    @Test("each program's metrics have ports of their own")
    func metrics() throws {
        let ports = try Self.programs().compactMap { program in
            try SourceTree.lines(Self.unit(program)).compactMap { line in
                line.split(separator: " ").last.flatMap { $0.hasPrefix("METRICS_ADDRESS=") ? $0.split(separator: ":").last.flatMap { Int($0) } : nil }
            }.first
        }
        #expect(ports.count == 8)
        // Slots are added to a port.
        #expect(zip(ports.sorted(), ports.sorted().dropFirst()).allSatisfy { $1 - $0 >= 10 })
    }

    @Test("a program is killed five seconds after its own grace, not before")
    func grace() throws {
        let standard = try #require(try SourceTree.lines(".env.example").first { $0.hasPrefix("#SHUTDOWN_GRACE=") })
        let seconds = try #require(Int(standard.dropFirst("#SHUTDOWN_GRACE=".count).dropLast()))
        #expect(standard.hasSuffix("s"))
        let common = try SourceTree.lines("\(Self.folder)/quittance-.service.d/10-common.conf")
        #expect(common.contains("TimeoutStopSec=\(seconds + 5)") && common.contains("KillSignal=SIGTERM"))
        #expect(try SourceTree.lines("deploy/production.env.example").contains("SHUTDOWN_GRACE=\(seconds)s"))
    }

    @Test("systemd-analyze verify has nothing to say about them")
    func verify() async throws {
        _ = try programOnPath("systemd-analyze")
        let folder = try TemporaryFolder("quittance-units")
        let programs = try builtProduct("quittance").dropLast("quittance".count)
        for path in try SourceTree.files(below: Self.folder) {
            let name = String(path.dropFirst(Self.folder.count + 1))
            if let slash = name.lastIndex(of: "/") { try folder.makeFolder(String(name[..<slash])) }
            // As installed, but where the programs are here.
            try folder.write(try SourceTree.text(path).replacing(Self.installed, with: programs), to: name)
        }
        let line = "systemd-analyze verify --man=no '\(folder.path)'/*.service '\(folder.path)'/*.target"
        let result = try await Script.run(line, environment: ["SYSTEMD_UNIT_PATH": "\(folder.path):"])
        #expect(result.status == 0 && result.output.isEmpty && result.errors.isEmpty, "\(result.output) \(result.errors)")
        // The words that all share are read: a wrong one is told.
        let common = "quittance-.service.d/10-common.conf"
        let text = String(decoding: folder.read(common) ?? [], as: UTF8.self)
        try folder.write(text + "NoNewPriviliges=yes\n", to: common)
        let told = try await Script.run(line, environment: ["SYSTEMD_UNIT_PATH": "\(folder.path):"])
        #expect((told.output + told.errors).contains("NoNewPriviliges"))
    }
}

import EventLoop
import Formats
import JobQueue
import Subprocess

/// Fills docxtpl templates in a process of its own, limited in time and memory: a template is a program, and its users' templates are docxtpl
/// templates. The process is kept running, since starting it costs more than filling.
public final class DocumentTemplates: Sendable {
    private let process: ServingProcess
    private let pool: BlockingPool

    /// - Parameters:
    ///   - python: the interpreter that has docxtpl.
    ///   - script: `deploy/docx/fill_template.py`.
    ///   - timeout: how long one document may take, the start of the process included.
    ///   - processes: how many may run at a time: one that hangs in a template keeps no other waiting.
    public init(python: String, script: String, timeout: Duration = .seconds(60), processes: Int = 2) {
        pool = BlockingPool(name: "templates", threads: processes)
        let limits = Subprocess.Limits(wallTime: timeout, addressSpaceBytes: 1 << 30, outputBytesMax: 20 << 20, fileSizeMax: 32 << 20)
        process = ServingProcess(
            ServingProcess.Configuration(
                executable: python, arguments: ["-I", script, "--serve"],
                environment: ["PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"], limits: limits), pool: pool)
    }

    deinit {
        process.close()
        pool.close()
    }

    /// - Parameter template: the path of the `.docx`.
    /// - Returns: the bytes of a document that was opened again before they were handed out.
    public func fill(_ template: String, _ values: JSONObject) async throws -> [UInt8] {
        let document = try await ask(["template": .string(template), "values": .object(values)])
        guard document.starts(with: Array("PK".utf8)) else { throw JobFailure.retry("the template process gave no document") }
        return document
    }

    /// What a template has and lacks of a kit's variables.
    public struct Check: Sendable, Equatable {
        public let found: [String]
        /// The kit has them, the template does not: allowed, since nobody has to print everything.
        public let missing: [String]
        /// The template names them and nobody gives them: every draft would fail.
        public let unknown: [String]
    }

    public func check(_ template: String) async throws -> Check {
        let answer = try JSON(parsing: try await ask(["template": .string(template), "check": true]))
        func names(_ member: String) -> [String] { (answer[member]?.array ?? []).compactMap(\.string) }
        return Check(found: names("found"), missing: names("missing"), unknown: names("unknown"))
    }

    private func ask(_ request: JSON) async throws -> [UInt8] {
        let answer = try await process.ask(request.bytes)
        switch answer {
        case .answered(0, let bytes): return bytes
        case .answered(let code, let bytes) where code == 2 || code == 3: throw Self.unfillable(String(decoding: bytes.prefix(300), as: UTF8.self))
        case .answered(let code, _): throw JobFailure.retry("the template process answered with code \(code)")
        case .ended(.exited(let code), let errorText) where code == 2 || code == 3: throw Self.unfillable(String(errorText.prefix(300)))
        case .ended(let status, let errorText): throw JobFailure.retry("the template process ended by \(status): \(errorText.prefix(300))")
        }
    }

    private static func unfillable(_ why: String) -> JobFailure { JobFailure.bury("the template cannot be filled: \(why)") }
}

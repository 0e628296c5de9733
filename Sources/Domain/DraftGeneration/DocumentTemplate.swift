import EventLoop
import Formats
import JobQueue
import Subprocess

/// Fills the docxtpl template in a process of its own, limited in time and memory: a template is a program, and its users'
/// templates are docxtpl templates.
public struct DocumentTemplate: Sendable {
    private let python: String
    private let script: String
    private let template: String
    private let pool: BlockingPool

    /// - Parameters:
    ///   - python: the interpreter that has docxtpl.
    ///   - script: `deploy/docx/fill_template.py`.
    ///   - template: absolute path of the `.docx`.
    public init(python: String, script: String, template: String, pool: BlockingPool) {
        self.python = python
        self.script = script
        self.template = template
        self.pool = pool
    }

    static let limits = Subprocess.Limits(
        wallTime: .seconds(60), cpuSeconds: 30, addressSpaceBytes: 1 << 30, outputBytesMax: 20 << 20, fileSizeMax: 32 << 20)

    /// - Returns: the bytes of a document that was opened again before they were handed out.
    func fill(_ values: JSONObject) async throws -> [UInt8] {
        let input: JSON = ["template": .string(template), "values": .object(values)]
        let output = try await Subprocess.run(
            executable: python, arguments: ["-I", script], environment: ["PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"],
            input: input.bytes, limits: Self.limits, pool: pool)
        switch output.status {
        case .exited(0): break
        case .exited(let code) where code == 2 || code == 3:
            throw JobFailure.bury("the template cannot be filled: \(output.errorText.prefix(300))")
        default:
            throw JobFailure.retry("the template process ended by \(output.status): \(output.errorText.prefix(300))")
        }
        guard output.output.starts(with: Array("PK".utf8)) else { throw JobFailure.retry("the template process gave no document") }
        return output.output
    }
}

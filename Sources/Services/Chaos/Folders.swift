import EventLoop
import Subprocess

enum Folders {
    /// Removes a folder and all in it.
    static func remove(_ path: String) async throws {
        let pool = BlockingPool(name: "remove", threads: 2)
        let output = try await Subprocess.run(
            executable: try ChaosField.tool("rm"), arguments: ["-rf", path], environment: Subprocess.inheritedEnvironment,
            limits: Subprocess.Limits(wallTime: .seconds(30)), pool: pool)
        guard output.status.isSuccess else { throw ChaosError("\(path) cannot be removed: \(output.errorText)") }
    }
}

import Database
import Formats

/// `quittance backup`
enum BackupCommand {
    static let command = Command(
        CommandSyntax(
            "backup", "copy the database as of one moment into a new file, while everything runs",
            operands: [.needed("FILE", "where to; it must not be there yet")], options: [.json],
            notes: ["The private files are copied after it, by any means: a file that no row knows is harmless, a row without its file is not."])
    ) { invocation, context in
        let path = invocation.operands[0]
        guard !Folders.exists(path) else { throw CommandFailure(.failed, "\(path) is there already") }
        try await context.withDatabase { try await $0.backup(to: path) }
        let size = Folders.size(of: path) ?? 0
        if invocation.wantsJSON {
            context.output.json(["path": .string(path), "bytes": .int(size)])
        } else {
            context.output.line("\(path): \(size) bytes")
        }
        return .ok
    }
}

/// One target of the package: a folder `Sources/<floor>/<name>`.
struct Room: Hashable {
    /// The floors, lowest first. Capabilities and providers share one: a provider fills a port, a capability uses it.
    static let floors: [String: Int] = ["Shims": 0, "Platform": 1, "JobQueue": 2, "Domain": 3, "Providers": 3, "Services": 4, "Programs": 5]

    let floor: String
    let name: String
    /// Its place among the targets of Package.swift, which lists them in import order.
    let place: Int

    var folder: String { "Sources/\(floor)/\(name)" }
    var height: Int { Self.floors[floor] ?? Int.max }
    /// The module a source imports: Swift makes `worker_plans` of `worker-plans`.
    var module: String { String(name.map { $0 == "-" ? "_" : $0 }) }
}

/// What one file imports, with the line that says so.
struct Import {
    let module: String
    let line: Int
}

enum Rooms {
    /// The targets below Sources in the order in which Package.swift declares them.
    static func declared() throws -> [Room] {
        var rooms: [Room] = []
        // The text before each parenthesis ends with the call's name; the quoted words after it are its arguments.
        let pieces = try SourceTree.text("Package.swift").split(separator: "(", omittingEmptySubsequences: false)
        for (before, arguments) in zip(pieces, pieces.dropFirst()) {
            let quoted = arguments.split(separator: "\"", omittingEmptySubsequences: false).enumerated().compactMap {
                $0.offset % 2 == 1 ? String($0.element) : nil
            }
            switch before.lastWord {
            case "shim": if let name = quoted.first { rooms.append(Room(floor: "Shims", name: name, place: rooms.count)) }
            case "room": if quoted.count > 1 { rooms.append(Room(floor: quoted[0], name: quoted[1], place: rooms.count)) }
            case "program": if let name = quoted.first { rooms.append(Room(floor: "Programs", name: name, place: rooms.count)) }
            default: break
            }
        }
        return rooms
    }

    static func imports(of path: String) throws -> [Import] {
        try SourceTree.lines(path).enumerated().compactMap { number, line in
            module(importedBy: line).map { Import(module: $0, line: number + 1) }
        }
    }

    /// `@testable import struct JobQueue.JobEnvelope` imports JobQueue; any other line imports nothing.
    static func module(importedBy line: Substring) -> String? {
        let access: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        var words = line.split(separator: " ")[...]
        while let first = words.first, first.hasPrefix("@") || access.contains(first) { words.removeFirst() }
        guard words.first == "import" else { return nil }
        words.removeFirst()
        if let first = words.first, kinds.contains(first) { words.removeFirst() }
        return words.first?.split(separator: ".").first.map { String($0.prefix { $0.isLetter || $0.isNumber || $0 == "_" }) }
    }
}

extension Substring {
    /// The identifier that the text ends with; empty after anything else.
    fileprivate var lastWord: String { String(String(reversed()).prefix { $0.isLetter }.reversed()) }
}

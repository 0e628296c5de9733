import Formats
import Glibc

/// The repository as files on disk, read with POSIX and `FolderEntry`, so that the checks stand on as little as can be of the code they check.
enum SourceTree {
    struct Unreadable: Error, CustomStringConvertible {
        let path: String
        let number: Int32
        var description: String { "\(path) cannot be read (errno \(number))" }
    }

    /// This file is Tests/ArchitectureTests/SourceTree.swift; three steps up is the root.
    static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

    /// Every file below a folder, as paths from the root, in order of name.
    static func files(below folder: String, ending suffix: String = "") throws -> [String] {
        var found: [String] = []
        for name in try names(in: folder) {
            let path = "\(folder)/\(name)"
            if isFolder(path) {
                found += try files(below: path, ending: suffix)
            } else if name.hasSuffix(suffix) {
                found.append(path)
            }
        }
        return found
    }

    static func names(in folder: String) throws -> [String] {
        guard let names = FolderEntry.names(in: "\(root)/\(folder)") else { throw Unreadable(path: folder, number: errno) }
        return names.filter { !$0.hasPrefix(".") }
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat("\(root)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool { access("\(root)/\(path)", F_OK) == 0 }

    /// A link's target seen from the folder of the page that holds it.
    static func joined(_ folder: String, _ target: String) -> String {
        var steps: [Substring] = folder.split(separator: "/")
        for step in target.split(separator: "/") where step != "." {
            if step == ".." { _ = steps.popLast() } else { steps.append(step) }
        }
        return steps.joined(separator: "/")
    }

    static func text(_ path: String) throws -> String {
        guard let file = fopen("\(root)/\(path)", "r") else { throw Unreadable(path: path, number: errno) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func lines(_ path: String) throws -> [Substring] {
        var lines = try text(path).split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}

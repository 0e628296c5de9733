import Formats
import Settings

#if canImport(Glibc)
    import Glibc
#endif

/// Whose traffic a host, a router, a service or a label is: as it was entered, never guessed.
struct ProjectMap: Sendable, Equatable {
    /// What a line can be assigned by.
    enum Kind: UInt8, CaseIterable, Sendable {
        case service, router, label, host

        var prefix: String {
            switch self {
            case .service: "service:"
            case .router: "router:"
            case .label: "label:"
            case .host: ""
            }
        }
    }

    private var exact: [String: String] = [:]
    /// By what stands behind the `*.`.
    private var below: [String: String] = [:]

    init(_ assignments: [CollectorSettings.Assignment]) {
        for assignment in assignments {
            if assignment.key.hasPrefix("*.") {
                below[String(assignment.key.dropFirst(2))] = assignment.project
            } else {
                exact[assignment.key] = assignment.project
            }
        }
    }

    var count: Int { exact.count + below.count }

    /// The project of a name; nil when none was entered for it.
    func project(of name: String, _ kind: Kind) -> String? {
        guard kind == .host else { return exact[kind.prefix + name] }
        let host = Self.host(name)
        if let project = exact[host] { return project }
        // The longest one that fits: nearer words say more.
        var rest = host[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if let project = below[String(rest)] { return project }
        }
        return nil
    }

    /// A host without its port and the dot at its end, in lower case.
    static func host(_ text: String) -> String {
        var host = text.lowercased()
        if let colon = host.lastIndex(of: ":"), host[colon...].dropFirst().utf8.allSatisfy({ ASCII.isDigit($0) }),
            !host[..<colon].contains(":") || host[..<colon].hasSuffix("]")
        {
            host = String(host[..<colon])
        }
        return host.hasSuffix(".") ? String(host.dropLast()) : host
    }
}

/// The assignments of the settings and of their file, which is read anew when it changes.
struct ProjectMapSource {
    private let assignments: [CollectorSettings.Assignment]
    private let path: String?
    private var seen: FileStamp?
    private(set) var map: ProjectMap
    /// What is wrong with the file; nil when nothing is, or there is none.
    private(set) var problem: String?

    static let sizeMax = 16 << 20

    /// - Throws: ``CollectorError`` when the file cannot be read or a line of it is wrong.
    init(_ assignments: [CollectorSettings.Assignment], path: String?) throws(CollectorError) {
        self.assignments = assignments
        self.path = path
        map = ProjectMap(assignments)
        guard let path else { return }
        seen = FileStamp(path: path)
        map = ProjectMap(assignments + (try Self.read(path)))
    }

    /// Looks whether the file has changed. A file that has become wrong changes nothing but ``problem``.
    /// - Returns: whether there is another map.
    mutating func look() -> Bool {
        guard let path else { return false }
        let stamp = FileStamp(path: path)
        guard stamp != seen else { return false }
        seen = stamp
        do {
            let read = ProjectMap(assignments + (try Self.read(path)))
            problem = nil
            guard read != map else { return false }
            map = read
            return true
        } catch {
            problem = "\(error)"
            return false
        }
    }

    private static func read(_ path: String) throws(CollectorError) -> [CollectorSettings.Assignment] {
        let bytes: [UInt8]
        do throws(FileError) { bytes = try WholeFile.read(path, most: sizeMax) } catch { throw CollectorError(error) }
        var found: [CollectorSettings.Assignment] = []
        let lines = String(decoding: bytes, as: UTF8.self).split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (number, line) in lines.enumerated() {
            guard let first = line.first(where: { !$0.isWhitespace }), first != "#" else { continue }
            guard let assignment = CollectorSettings.Assignment(parsing: String(line)) else {
                throw CollectorError("\(path):\(number + 1) is not host=project")
            }
            found.append(assignment)
        }
        return found
    }
}

/// What changes when a file does.
struct FileStamp: Equatable {
    private let inode: UInt64
    private let size: Int64
    private let seconds: Int
    private let nanoseconds: Int

    /// Nil when there is no such file.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}

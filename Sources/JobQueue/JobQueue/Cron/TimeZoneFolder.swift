import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The time zone database of the machine: a folder of TZif files. What was read once is kept, so that a program has one and the same
/// rule from its start to its end; a newer database is seen after a restart.
public final class TimeZoneFolder: Sendable {
    /// `/usr/share/zoneinfo`, of the package tzdata.
    public static let system = TimeZoneFolder()

    public let path: String
    private let known = Mutex<[String: NamedTimeZone]>([:])

    private static let nameLengthMax = 64
    /// The database has about 600 names; more are not kept.
    private static let knownMax = 1000

    public init(path: String = "/usr/share/zoneinfo") { self.path = path }

    /// The zone of a name such as `Africa/Abidjan`; `UTC` needs no file.
    /// - Throws: ``TimeZoneError``; a retry helps only where it is transient.
    public func zone(_ name: String) throws(TimeZoneError) -> NamedTimeZone {
        if name == NamedTimeZone.utc.name { return .utc }
        if let zone = known.withLock({ $0[name] }) { return zone }
        guard Self.isName(name) else {
            throw TimeZoneError(.name, zone: name, "is no name such as Europe/Paris: words of letters, digits, '_', '+' and '-', parted by '/'")
        }
        let zone = try NamedTimeZone(name: name, tzif: try read(name))
        known.withLock { if $0.count < Self.knownMax { $0[name] = zone } }
        return zone
    }

    /// Nothing that could lead out of the folder: no dots, no empty words.
    private static func isName(_ name: String) -> Bool {
        guard (1...nameLengthMax).contains(name.utf8.count) else { return false }
        return name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { word in
            !word.isEmpty
                && word.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                    case UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"): true
                    default: false
                    }
                }
        }
    }

    private func read(_ name: String) throws(TimeZoneError) -> [UInt8] {
        guard let root = Self.resolved(path) else { throw TimeZoneError(.unreadable, zone: name, "there is no folder \(path): install tzdata") }
        guard let file = Self.resolved("\(root)/\(name)") else {
            let isMissing = errno == ENOENT || errno == ENOTDIR
            throw TimeZoneError(isMissing ? .unknown : .unreadable, zone: name, isMissing ? "is not in \(path)" : "error \(errno)")
        }
        // A link may lead anywhere.
        guard file.hasPrefix(root + "/") else { throw TimeZoneError(.name, zone: name, "leads out of \(path)") }
        // Not to hang on a pipe that stands in the place of a file.
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { throw TimeZoneError(.unreadable, zone: name, "cannot be opened: error \(errno)") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw TimeZoneError(.unknown, zone: name, "is no file of \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: TimeZoneFile.bytesMax + 1)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw TimeZoneError(.unreadable, zone: name, "cannot be read: error \(errno)") }
            if count == 0 { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    private static func resolved(_ path: String) -> String? {
        guard let pointer = realpath(path, nil) else { return nil }
        defer { free(pointer) }
        return String(cString: pointer)
    }
}

#if canImport(Glibc)
    import Glibc
#endif

/// The path of an executable of this package, built beside the test bundle.
/// - Throws: ``FixtureError`` naming the missing file: build the whole package first.
public func builtProduct(_ name: String) throws -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    guard length > 0 else { throw FixtureError("the test's own path is unknown: error \(errno)") }
    let own = String(decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
    let path = "\(folder)/\(name)"
    guard access(path, X_OK) == 0 else { throw FixtureError("\(path) is not built") }
    return path
}

/// The path of a program on `PATH`; an absolute path is returned as it is.
public func programOnPath(_ name: String) throws -> String {
    if name.contains("/") { return name }
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    for folder in path.split(separator: ":") where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
    throw FixtureError("\(name) is not on PATH (\(path))")
}

public func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

/// Whether a process of this number runs; one that has ended and waits to be reaped does not count.
public func processExists(_ pid: Int32) -> Bool {
    guard let stream = fopen("/proc/\(pid)/stat", "r") else { return false }
    defer { fclose(stream) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = fread(&bytes, 1, bytes.count, stream)
    // The state letter follows the name, which is in parentheses.
    guard let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")), end + 2 < count else { return false }
    return bytes[end + 2] != UInt8(ascii: "Z")
}

#if canImport(Glibc)
    import Glibc
#endif

/// The entries of a folder, as `readdir` hands them out.
public enum FolderEntry {
    /// Lends an entry's name where it lies, up to its zero. It is never copied as the type says: the entry may end before the name's 256
    /// bytes, at the end of a page, and a copy would run over it.
    public static func withName<Value, Failure: Error>(
        of entry: UnsafeMutablePointer<dirent>, _ body: (UnsafePointer<CChar>) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withUnsafePointer(to: &entry.pointee.d_name) { (name) throws(Failure) -> Value in
            try body(UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
        }
    }

    public static func name(of entry: UnsafeMutablePointer<dirent>) -> String { withName(of: entry) { String(cString: $0) } }

    /// What is left to read of an open folder, without `.` and `..`, in no order.
    public static func names(on stream: OpaquePointer) -> [String] {
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = name(of: entry)
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// The names in a folder, without `.` and `..`, sorted; nil, with `errno` set, when it cannot be opened.
    public static func names(in folder: String) -> [String]? {
        guard let stream = opendir(folder) else { return nil }
        defer { closedir(stream) }
        return names(on: stream).sorted()
    }
}

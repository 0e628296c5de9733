#if canImport(Glibc)
    import Glibc
#endif

extension TemporaryFolder {
    /// The names in a folder of this one, in no order; none when it is not there.
    public func list(_ name: String) -> [String] {
        guard let folder = opendir(file(name)) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

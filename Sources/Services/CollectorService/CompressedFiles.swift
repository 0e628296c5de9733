#if canImport(Glibc)
    import Glibc
#endif

extension RotatedFiles {
    /// A file that was the log and that gzip has compressed. It is not read, only known again.
    struct Compressed {
        let path: String
        /// As rotation leaves it: when the log in it was last written to, in nanoseconds.
        let writtenAt: Int64
        /// The length of what is in it, as the end of the file says: its lower 32 bits.
        let length: UInt32

        /// Whether a log of so many bytes may be in it.
        func holds(_ bytes: Int64) -> Bool { bytes > 0 && UInt32(truncatingIfNeeded: bytes) == length }
    }

    /// Compressed files whose log was written to after `moment`, the oldest first; none of an empty log.
    func compressed(since moment: Int64) -> [Compressed] {
        let names = Set(names())
        return names.filter { name in
            // While both are there gzip is still at work.
            name.hasSuffix(".gz") && isRotation(String(name.dropLast(3))) && !names.contains(String(name.dropLast(3)))
        }
        .compactMap(archive)
        .filter { $0.writtenAt >= moment && $0.length > 0 }
        .sorted { ($0.writtenAt, $0.path) < ($1.writtenAt, $1.path) }
    }

    private func archive(_ name: String) -> Compressed? {
        guard let found = open(path(of: name)) else { return nil }
        defer { close(found.descriptor) }
        var end: [UInt8] = [0, 0, 0, 0]
        guard FileHead.read(found.descriptor, 2) == [0x1F, 0x8B],
            pread(found.descriptor, &end, end.count, off_t(found.status.st_size) - off_t(end.count)) == end.count
        else { return nil }
        return Compressed(
            path: found.path, writtenAt: found.writtenAt, length: end.reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
}

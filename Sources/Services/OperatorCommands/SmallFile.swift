import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Files that an operator hands in.
enum SmallFile {
    /// - Throws: ``CommandFailure`` when it is not there, cannot be read or has more than `limit` bytes.
    static func read(_ path: String, limit: Int) throws(CommandFailure) -> [UInt8] {
        do throws(FileError) { return try WholeFile.read(path, most: limit) } catch {
            guard !error.isTooLarge else { throw CommandFailure(.failed, "\(path) has more than the \(limit) bytes that are taken") }
            throw CommandFailure(error.number == ENOENT ? .notFound : .failed, "\(path): \(error.reason)")
        }
    }
}

import Cryptography
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Which file it is, whatever it is called. An inode is given away again once its file is gone, hence the first bytes beside it.
struct FileIdentity: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64

    init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }

    init(_ status: stat) { self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) }
}

/// The first bytes of a file, or what is remembered of them.
struct Fingerprint: Equatable, Sendable {
    /// More does not tell files apart any better.
    static let lengthMax = 1024

    let length: Int
    let hash: String

    init(length: Int, hash: String) {
        self.length = length
        self.hash = hash
    }

    init(_ head: [UInt8]) { self.init(length: head.count, hash: String(Digest.sha256Hex(head).prefix(32))) }

    /// Whether a file begins like this.
    func fits(_ descriptor: Int32) -> Bool { FileHead.read(descriptor, length).map { Fingerprint($0) == self } ?? false }
}

enum FileHead {
    /// The first bytes of a file; nil when it has fewer, or cannot be read.
    static func read(_ descriptor: Int32, _ length: Int) -> [UInt8]? {
        guard length > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: length)
        return pread(descriptor, &bytes, length, 0) == length ? bytes : nil
    }
}

/// How far a file has been read.
struct FilePosition: Equatable, Sendable {
    var identity: FileIdentity
    var fingerprint: Fingerprint
    /// Where the next line begins, or where the rest of a line begins that is skipped.
    var offset: Int64
    /// Whether what comes next is the rest of a line that is too long.
    var isSkipping = false
}

extension SampleBatch {
    /// What the batch says, in 64 bits: projects, bytes, times and ids in their order. Neither who says it matters, nor how it was
    /// written, nor in which order ``projects`` lists the names; the same content has the same digest in every process and version.
    public var digest: Int64 {
        let names = projects.map { SampleHash.of($0) }
        var hash = SampleHash.seed ^ UInt64(rows.count)
        for row in rows { hash = Self.fold(row, names[Int(row.project)], into: hash) }
        for id in ids { hash = SampleHash.fold(hash, SampleHash.of(id)) }
        return Int64(bitPattern: hash)
    }

    private static func fold(_ row: Row, _ name: UInt64, into hash: UInt64) -> UInt64 {
        SampleHash.fold(
            SampleHash.fold(SampleHash.fold(hash, name), UInt64(bitPattern: row.bytes)), UInt64(bitPattern: row.atMs))
    }
}

/// A hash that is the same everywhere: finds what differs, keeps nobody out.
enum SampleHash {
    static let seed: UInt64 = 0xcbf2_9ce4_8422_2325

    @inline(__always)
    static func fold(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return (product.high ^ product.low) &+ 0xd6e8_feb8_6659_fd93
    }

    static func of(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { of(UnsafeRawBufferPointer($0)) }
    }

    /// Eight bytes a step.
    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = seed ^ UInt64(bytes.count)
        var place = 0
        while place + 8 <= bytes.count {
            hash = fold(hash, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
            place += 8
        }
        var rest: UInt64 = 0
        while place < bytes.count {
            rest = rest << 8 | UInt64(bytes[place])
            place += 1
        }
        return fold(hash, rest)
    }
}

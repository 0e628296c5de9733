extension SampleBatch {
    /// A digest of what was measured, whatever its text looked like and whoever sent it: tells another content under the same name.
    public var digest: Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func fold(_ word: UInt64) {
            let product = (hash ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
            hash = product.high ^ product.low ^ 0xff51_afd7_ed55_8ccd
        }
        func fold(_ text: String) {
            fold(UInt64(text.utf8.count))
            for byte in text.utf8 { fold(UInt64(byte)) }
        }
        let names = projects.map { name -> UInt64 in
            hash = 0xcbf2_9ce4_8422_2325
            fold(name)
            return hash
        }
        hash = 0xcbf2_9ce4_8422_2325
        for row in rows {
            fold(names[Int(row.project)])
            fold(UInt64(bitPattern: row.bytes))
            fold(UInt64(bitPattern: row.atMs))
        }
        for id in ids { fold(id) }
        return Int64(bitPattern: hash)
    }
}

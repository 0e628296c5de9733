/// Looks for bytes in bytes.
enum ByteSearch {
    /// Where `needle`, which is not empty, stands first at or behind `start`; nil when it does not.
    static func offset(of needle: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
        guard bytes.count >= needle.count else { return nil }
        return bytes.withUnsafeBufferPointer { text in
            var at = start
            let last = text.count - needle.count
            while at <= last {
                if text[at] == needle[0] {
                    var place = 1
                    while place < needle.count, text[at + place] == needle[place] { place += 1 }
                    if place == needle.count { return at }
                }
                at += 1
            }
            return nil
        }
    }
}

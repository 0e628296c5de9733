import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// Gives each project's name a number by its bytes, so that a batch makes one string per project and not one per sample.
struct ProjectNames {
    private(set) var names: [String] = []
    /// All names behind one another, and where each ends.
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    /// Numbers from 1, found by hash; 0 is free. A power of two, at most half full.
    private var slots: [Int32] = []
    private var last: Int32 = 0

    /// The name's number from 0; nil when it is no name of a project.
    mutating func number(of name: UnsafeBufferPointer<UInt8>) -> Int32? {
        guard (1...SampleBatch.nameMax).contains(name.count) else { return nil }
        // Gateways report a project's samples in a row.
        if last < Int32(names.count), isName(last, name) { return last }
        if names.count * 2 >= slots.count { grow() }
        let mask = slots.count - 1
        var place = Int(truncatingIfNeeded: SampleHash.of(UnsafeRawBufferPointer(name))) & mask
        while slots[place] != 0 {
            if isName(slots[place] - 1, name) {
                last = slots[place] - 1
                return last
            }
            place = (place + 1) & mask
        }
        guard name.allSatisfy(Slug.isByte) else { return nil }
        last = Int32(names.count)
        names.append(String(decoding: name, as: UTF8.self))
        bytes.append(contentsOf: name)
        ends.append(bytes.count)
        slots[place] = last + 1
        return last
    }

    private func range(_ number: Int32) -> Range<Int> {
        let number = Int(number)
        return (number == 0 ? 0 : ends[number - 1])..<ends[number]
    }

    private func isName(_ number: Int32, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        let range = range(number)
        guard range.count == name.count, let start = name.baseAddress else { return false }
        return bytes.withUnsafeBytes { memcmp($0.baseAddress! + range.lowerBound, start, range.count) == 0 }
    }

    private mutating func grow() {
        slots = [Int32](repeating: 0, count: max(64, slots.count * 2))
        let mask = slots.count - 1
        bytes.withUnsafeBytes { bytes in
            for number in 0..<Int32(names.count) {
                var place = Int(truncatingIfNeeded: SampleHash.of(UnsafeRawBufferPointer(rebasing: bytes[range(number)]))) & mask
                while slots[place] != 0 { place = (place + 1) & mask }
                slots[place] = number + 1
            }
        }
    }
}

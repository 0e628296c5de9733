import JobQueue
import Testing

@Suite("Claims in hand")
struct ClaimTableTests {
    @Test("any mix of claims, changes and ends leaves what a dictionary would have", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func asADictionary(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var table = ClaimTable<Int>()
        var model: [ClaimToken: Int] = [:]
        // Tokens that meet at the same places as often as may be: multiples of a power of two, and runs of neighbours.
        let tokens = (1...40).map { ClaimToken($0 * 64) } + (1...200).map { ClaimToken($0) }
        for step in 0..<20_000 {
            let token = tokens[Int(random.next() % UInt64(tokens.count))]
            switch random.next() % 4 {
            case 0, 1:
                table[token] = step
                model[token] = step
            case 2:
                table.update(token) { $0 += 1 }
                if let value = model[token] { model[token] = value + 1 }
            default: #expect(table.remove(token) == model.removeValue(forKey: token))
            }
            if table.count != model.count || table[token] != model[token] || table.contains(token) != (model[token] != nil) {
                Issue.record("differs from a dictionary after step \(step)")
                return
            }
        }
        #expect(table.keys.sorted() == model.keys.sorted())
        for token in tokens { #expect(table[token] == model[token]) }
        for token in tokens { table[token] = nil }
        #expect(table.isEmpty && table.keys.isEmpty)
    }
}

/// A small generator whose sequence is the same everywhere.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

import Money
import Testing

@testable import Invoicing

@Suite("Tax within a price")
struct TaxationTests {
    @Test(
        "net and tax in whole minor units",
        arguments: [
            (11_800, .xof, .rate(1800), 10_000, 1800), (12_500, .xof, .rate(1800), 10_593, 1907), (1, .xof, .rate(1800), 1, 0),
            (3, .xof, .rate(1800), 3, 0), (4, .xof, .rate(1800), 3, 1), (100_000, .xaf, .rate(1925), 83_857, 16_143),
            (300, .eur, .rate(2000), 250, 50), (299, .eur, .rate(2000), 249, 50), (11_925, .xaf, .rate(1925), 10_000, 1925),
            (5, .eur, .rate(10_000), 3, 2), (999_999_999_999, .xof, .rate(1800), 847_457_627_118, 152_542_372_881),
            (10_001, .xof, .rate(1), 10_000, 1),
            (12_500, .xof, .exempt("Exonéré"), 12_500, 0), (1, .eur, .exempt("Exonéré"), 1, 0),
        ] as [(Int64, Currency, Issuer.Tax, Int64, Int64)])
    func table(gross: Int64, currency: Currency, tax: Issuer.Tax, net: Int64, vat: Int64) {
        let split = Taxation.split(gross: Money(gross, currency), tax: tax)
        #expect(split.net == Money(net, currency) && split.vat == Money(vat, currency))
    }

    @Test("net and tax always add up to the price, neither is negative, and the net is the nearest whole unit", arguments: 0..<20)
    func property(_ seed: Int) {
        var chance = Chance(seed: UInt64(seed))
        for _ in 0..<500 {
            let gross = Int64.random(in: 1...Int64.random(in: 1...100_000_000_000_000, using: &chance), using: &chance)
            let rate = Int64.random(in: 1...10_000, using: &chance)
            let (net, vat) = Taxation.split(gross: Money(gross, .xof), tax: .rate(rate))
            #expect(net.minorUnits + vat.minorUnits == gross)
            #expect(net.minorUnits >= 0 && vat.minorUnits >= 0)
            // |net · (1 + rate) − gross| is at most half of a unit's (1 + rate).
            #expect(2 * abs(net.minorUnits * (10_000 + rate) - gross * 10_000) <= 10_000 + rate)
        }
    }
}

/// SplitMix64: the same prices on every run.
private struct Chance: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

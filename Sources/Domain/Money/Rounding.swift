extension Int64 {
    /// `self × numerator ÷ denominator`, rounded half away from zero, computed without overflow in 128 bits.
    /// Used for tax: `net.scaled(by: 1800, over: 10_000)` is 18 %.
    public func scaled(by numerator: Int64, over denominator: Int64) -> Int64 {
        precondition(denominator > 0, "a rate needs a positive denominator")
        let product = Int128(self) * Int128(numerator)
        let half = Int128(denominator / 2)
        let rounded = product >= 0 ? (product + half) / Int128(denominator) : (product - half) / Int128(denominator)
        return Int64(rounded)
    }
}

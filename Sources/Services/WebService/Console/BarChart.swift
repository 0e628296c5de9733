/// Pairs of numbers drawn as bars, one before the other; the numbers themselves stand in a table, or in words, for those who do not see them.
struct BarChart {
    /// The larger and the part of it that is set off; of a chart of one number the first is 0.
    let bars: [(begun: Int64, paid: Int64)]
    /// What the picture says.
    let told: String
    /// At the foot, on the left and on the right.
    let from: String
    let to: String
    /// Of the highest bar, on the left above.
    let most: String

    private static let (width, height, foot) = (720, 160, 18)

    /// The highest of them.
    static func most(_ bars: [(begun: Int64, paid: Int64)]) -> Int64 { max(1, bars.map { max($0.begun, $0.paid) }.max() ?? 1) }

    var markup: Markup {
        let most = Self.most(bars)
        let step = Self.width / max(1, bars.count)
        let gap = min(2, step / 3)
        func bar(_ place: Int, _ count: Int64, _ style: String) -> Markup {
            // By floating point: sums of money times pixels may be more than whole numbers hold.
            let height = Int(Double(count) * Double(Self.height - Self.foot - 10) / Double(most))
            guard height > 0 else { return .empty }
            let (left, top) = (place * step + gap, Self.height - Self.foot - height)
            return "<rect class=\"\(style)\" x=\"\(left)\" y=\"\(top)\" width=\"\(step - 2 * gap)\" height=\"\(height)\"/>"
        }
        let drawn: [Markup] = bars.enumerated().map { "\(bar($0, $1.begun, "begun"))\(bar($0, $1.paid, "paid"))\n" }
        return """
            <svg class="chart" viewBox="0 0 \(Self.width) \(Self.height)" role="img" aria-label="\(told)">
            \(drawn)<text x="2" y="\(Self.height - 4)">\(from)</text>
            <text x="\(Self.width - 2)" y="\(Self.height - 4)" text-anchor="end">\(to)</text>
            <text x="2" y="11">\(self.most)</text>
            </svg>
            """
    }
}

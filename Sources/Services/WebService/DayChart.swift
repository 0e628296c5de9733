import Formats
import Usage

/// A team's traffic day by day, drawn as bars, with the figures themselves in a table for whoever wants or needs them.
struct DayChart {
    /// Oldest first.
    let days: [TeamDay]
    /// Of a month, in bytes; negative where there is none.
    let limit: Int64
    let words: Words

    private static let (width, height) = (720, 160)

    /// What may be used on every day without the month's limit being reached.
    private var share: Int64? { limit < 0 ? nil : limit / Int64(max(1, days.count)) }
    /// Of the top of the picture.
    private var most: Int64 { max(1, days.map(\.trafficBytes).max() ?? 1, share ?? 0) }

    var markup: Markup {
        let total = days.reduce(Int64(0)) { min($0 + $1.trafficBytes, ByteFigure.counterMax) }
        let told = words(
            "Trafic par jour, \(days.count) jours, \(UsageWords.figure(total, words)) en tout",
            "Traffic by day, \(days.count) days, \(UsageWords.figure(total, words)) in all")
        let step = Self.width / max(1, days.count)
        let bars: [Markup] = days.enumerated().map { bar($0, $1, step) }
        return """
            <p class="hint">\(UsageWords.figure(most, words))</p>
            <svg class="days" viewBox="0 0 \(Self.width) \(Self.height)" role="img" aria-label="\(told)">
            \(bars)\(line)</svg>
            <p class="hint axis"><span>\(label(days.first))</span><span>\(label(days.last))</span></p>
            \(table)
            """
    }

    private func label(_ day: TeamDay?) -> String { day.map { UsageWords.shortDay($0.startMs, words) } ?? "" }

    /// By floating point: bytes times pixels may be more than whole numbers hold.
    private func rise(_ bytes: Int64) -> Int {
        Int((Double(bytes) * Double(Self.height) / Double(most)).rounded(.up))
    }

    private func bar(_ place: Int, _ day: TeamDay, _ step: Int) -> Markup {
        let bytes = day.trafficBytes
        guard bytes > 0 else { return .empty }
        let height = rise(bytes)
        let look = share.map { bytes > $0 ? "over" : "within" } ?? "within"
        return """
            <rect class="\(look)" x="\(place * step + 2)" y="\(Self.height - height)" width="\(step - 4)" height="\(height)">\
            <title>\(label(day)): \(UsageWords.figure(bytes, words))</title></rect>

            """
    }

    /// The day's share of the month's limit.
    private var line: Markup {
        guard let share, share > 0 else { return .empty }
        let y = Self.height - rise(share)
        return "<line x1=\"0\" x2=\"\(Self.width)\" y1=\"\(y)\" y2=\"\(y)\"/>\n"
    }

    private var table: Markup {
        let rows: [Markup] = days.reversed().map { day in
            let storage = day.storageBytes.map { UsageWords.figure($0, words) } ?? "–"
            return """
                <tr><th scope="row">\(label(day))</th><td>\(UsageWords.figure(day.trafficBytes, words))</td><td>\(storage)</td></tr>

                """
        }
        return """
            <details><summary>\(words("Les chiffres", "The figures"))</summary>
            <table>
            <thead><tr><th scope="col">\(words("Jour (UTC)", "Day (UTC)"))</th><th scope="col">\(words("Trafic", "Traffic"))</th>\
            <th scope="col">\(words("Stockage", "Storage"))</th></tr></thead>
            <tbody>
            \(rows)</tbody>
            </table>
            </details>
            """
    }
}

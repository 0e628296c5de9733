/// The header `Retry-After`: a number of seconds, or a date in one of HTTP's three forms (RFC 9110, 10.2.3 and 5.6.7).
public enum RetryAfter {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Seconds to wait, rounded up, 0 for a date that is over; nil for what is neither.
    public static func seconds(_ value: String, nowMs: Int64 = WallClock.nowMs) -> Int64? {
        let text = value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) { return Int64(text) }
        guard let due = date(text, nowMs: nowMs) else { return nil }
        return max(0, (due - nowMs + 999) / 1000)
    }

    /// Unix milliseconds.
    private static func date(_ text: String, nowMs: Int64) -> Int64? {
        let words = text.replacing(",", with: " ").split(separator: " ").map(String.init)
        switch words.count {
        // Sun, 06 Nov 1994 08:49:37 GMT
        case 6 where words[5] == "GMT": return moment(words[3], words[2], words[1], words[4])
        // Sunday, 06-Nov-94 08:49:37 GMT
        case 4 where words[3] == "GMT":
            let parts = words[1].split(separator: "-").map(String.init)
            guard parts.count == 3, parts[2].utf8.count == 2, let short = Int(parts[2]) else { return nil }
            // A year that looks more than 50 years ahead is the one of the century before.
            let now = Int(Timestamp.date(nowMs).prefix(4)) ?? 2000
            let year = now / 100 * 100 + short
            return moment(String(year > now + 50 ? year - 100 : year), parts[1], parts[0], words[2])
        // Sun Nov  6 08:49:37 1994
        case 5: return moment(words[4], words[1], words[2], words[3])
        default: return nil
        }
    }

    private static func moment(_ year: String, _ month: String, _ day: String, _ time: String) -> Int64? {
        guard year.utf8.count == 4, let number = months.firstIndex(of: month), (1...2).contains(day.utf8.count) else { return nil }
        func two(_ text: String) -> String { text.utf8.count == 1 ? "0" + text : text }
        return Timestamp.parse("\(year)-\(two(String(number + 1)))-\(two(day))T\(time)Z")
    }
}

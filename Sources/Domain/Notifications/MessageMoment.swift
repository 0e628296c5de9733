import Formats

/// Moments as messages tell them, in UTC.
public enum MessageMoment {
    public static func text(_ ms: Int64, language: String) -> String {
        let text = Timestamp.rfc3339(ms)
        let (day, time) = (text.prefix(10).split(separator: "-"), text.dropFirst(11).prefix(5))
        guard day.count == 3 else { return text }
        return language == "en" ? "\(text.prefix(10)) \(time) UTC" : "\(day[2])/\(day[1])/\(day[0]) à \(time) UTC"
    }
}

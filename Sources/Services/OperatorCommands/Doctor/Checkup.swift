import Formats

/// One line of `quittance doctor`.
struct Finding: Sendable {
    enum Level: String, Sendable { case ok, warn, fail }
    let level: Level
    /// What was looked at.
    let what: String
    /// What was seen and, where it is not well, what to do.
    let text: String

    static func ok(_ what: String, _ text: String) -> Finding { Finding(level: .ok, what: what, text: text) }
    static func warn(_ what: String, _ text: String) -> Finding { Finding(level: .warn, what: what, text: text) }
    static func fail(_ what: String, _ text: String) -> Finding { Finding(level: .fail, what: what, text: text) }

    var json: JSON { ["level": .string(level.rawValue), "what": .string(what), "text": .string(text)] }
}

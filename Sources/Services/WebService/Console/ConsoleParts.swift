import Formats
import Money
import Payments
import Staff

/// Pieces that pages are put together from.
enum ConsoleParts {
    /// `2026-11-21 14:05:09` in UTC, as records have it.
    static func time(_ ms: Int64?) -> Markup {
        guard let ms else { return "–" }
        let text = Timestamp.rfc3339(ms)
        return "<time datetime=\"\(text)\">\(String(text.prefix(10))) \(String(text.dropFirst(11).prefix(8)))</time>"
    }

    /// How long ago, in the unit that fits: `45 s`, `12 min`, `3 h`, `2 d`.
    static func age(_ ms: Int64?, _ words: Words) -> String {
        guard let ms, ms >= 0 else { return "–" }
        let seconds = ms / 1000
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7200 { return "\(seconds / 60) min" }
        if seconds < 172_800 { return "\(seconds / 3600) h" }
        return words("\(seconds / 86_400) j", "\(seconds / 86_400) d")
    }

    static func money(_ money: Money, _ words: Words) -> String { UsageWords.amount(money, words) }

    static func badge(_ text: String, _ colour: String = "") -> Markup { "<span class=\"badge \(colour)\">\(text)</span>" }

    static func badge(_ state: PaymentState) -> Markup {
        let colour =
            switch state {
            case .paid: "ok"
            case .created, .pending, .processing, .authorised: "info"
            case .conflicted, .chargedBack: "bad"
            case .partiallyPaid, .partiallyRefunded, .refunded: "warn"
            case .failed, .cancelled, .expired: ""
            }
        return badge(state.rawValue, colour)
    }

    /// Live money is told apart from the played one wherever it stands.
    static func mode(_ mode: String?) -> Markup {
        guard let mode else { return "–" }
        return badge(mode, mode == "live" ? "ok" : "warn")
    }

    /// A table with a caption for those who do not see it.
    /// - Parameter columns: a name that begins with `#` is one of numbers.
    static func table(_ caption: String, _ columns: [String], _ rows: [[Markup]], none: String) -> Markup {
        guard !rows.isEmpty else { return "<p class=\"quiet\">\(none)</p>" }
        let isNumber = columns.map { $0.hasPrefix("#") }
        let heads: [Markup] = columns.map { name in
            name.hasPrefix("#") ? "<th scope=\"col\" class=\"number\">\(String(name.dropFirst()))</th>" : "<th scope=\"col\">\(name)</th>"
        }
        let lines: [Markup] = rows.map { row in
            let cells: [Markup] = zip(row, isNumber).map { cell, number in number ? "<td class=\"number\">\(cell)</td>" : "<td>\(cell)</td>" }
            return "<tr>\(cells)</tr>\n"
        }
        return """
            <div class="scroll"><table>
            <caption>\(caption)</caption>
            <thead><tr>\(heads)</tr></thead>
            <tbody>
            \(lines)</tbody>
            </table></div>
            """
    }

    static func list(_ pairs: [(String, Markup)]) -> Markup {
        let lines: [Markup] = pairs.map { "<dt>\($0)</dt><dd>\($1)</dd>\n" }
        return "<dl>\(lines)</dl>"
    }

    static func option(_ value: String, _ text: String, chosen: String?) -> Markup {
        "<option value=\"\(value)\"\(value == chosen ? " selected=\"selected\"" : .empty)>\(text)</option>"
    }

    /// A field with its label.
    static func field(
        _ id: String, _ name: String, _ label: String, type: String = "text", value: String = "", isRequired: Bool = true, more: Markup = .empty
    ) -> Markup {
        let required: Markup = isRequired ? " required=\"required\"" : .empty
        return """
            <label for="\(id)">\(label)</label>
            <input id="\(id)" name="\(name)" type="\(type)" value="\(value)"\(required)\(more)/>
            """
    }

    static func area(_ id: String, _ name: String, _ label: String, value: String = "", isRequired: Bool = true) -> Markup {
        """
        <label for="\(id)">\(label)</label>
        <textarea id="\(id)" name="\(name)" maxlength="500"\(isRequired ? " required=\"required\"" : .empty)>\(value)</textarea>
        """
    }

    /// A box with its label behind it.
    static func check(_ id: String, _ name: String, value: String, _ label: String, isChecked: Bool = false) -> Markup {
        """
        <p class="check"><input id="\(id)" name="\(name)" type="checkbox" value="\(value)"\(isChecked ? " checked=\"checked\"" : .empty)/>
        <label for="\(id)">\(label)</label></p>
        """
    }

    static func choice(_ id: String, _ name: String, _ label: String, _ options: [Markup]) -> Markup {
        """
        <label for="\(id)">\(label)</label>
        <select id="\(id)" name="\(name)">\(options)</select>
        """
    }

    /// One button that does one thing.
    /// - Parameters:
    ///   - confirm: what is asked before it.
    ///   - about: what it concerns, for those who hear the button alone.
    static func button(
        _ visit: ConsoleVisit, _ action: String, _ text: String, about: String = "", style: String = "", confirm: String? = nil, back: String? = nil,
        fields: [(String, String)] = []
    ) -> Markup {
        let hidden: [Markup] = (fields + (back.map { [("back", $0)] } ?? [])).map { "<input type=\"hidden\" name=\"\($0)\" value=\"\($1)\"/>" }
        let asked: Markup = confirm.map { " data-confirm=\"\($0)\"" } ?? .empty
        let label: Markup = about.isEmpty ? .empty : " aria-label=\"\(text): \(about)\""
        return """
            <form method="post" action="\(action)"\(asked)>\(visit.token)\(hidden)<button\(style.isEmpty ? .empty : " class=\"\(style)\"")\(label)>\(text)\
            </button></form>
            """
    }

    /// A deed that asks for its reason; nothing for those who may not do it.
    static func reasoned(
        _ visit: ConsoleVisit, _ role: StaffRole, _ action: String, _ text: String, id: String, style: String = "", more: Markup = .empty
    ) -> Markup {
        guard visit.may(role) else { return .empty }
        return """
            <form method="post" action="\(action)" class="card">\(visit.token)
            <h2>\(text)</h2>
            \(more)\(area("\(id)-reason", "reason", visit.words("Raison", "Reason")))
            <button\(style.isEmpty ? .empty : " class=\"\(style)\"")>\(text)</button>
            </form>
            """
    }

    /// The way to older rows, and back to the newest.
    static func pager(_ path: String, _ filter: [(String, String?)], before: String?, next: String?, _ words: Words) -> Markup {
        guard before != nil || next != nil else { return .empty }
        let first: Markup =
            before == nil ? .empty : "<a href=\"\(path)\(ConsolePath.query(filter))\" rel=\"first\">\(words("Les plus récents", "The newest"))</a>"
        let older: Markup =
            next.map { "<a href=\"\(path)\(ConsolePath.query(filter + [("before", $0)]))\" rel=\"next\">\(words("Plus anciens", "Older"))</a>" }
            ?? .empty
        return "<p class=\"pager\">\(first) \(older)</p>"
    }

    static func paymentLink(_ id: String?) -> Markup { id.map { "<a href=\"\(ConsolePath.payment($0))\">\($0)</a>" } ?? "–" }
}

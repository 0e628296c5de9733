/// What the messages speak of. A template names those that it needs; no others can be put in.
public enum MessageVariable: String, Sendable, Codable, CaseIterable {
    case name, amount, description, payment
    case inquiry, organisation
    case invoice
    case creditNote = "credit_note"
    case team, metric, used, allowed, percent, period, plan
    /// The end of a period or of its grace, and the price of the next one.
    case until, price
    case origin, measured, error
    case link, expires

    public enum Kind: String, Sendable {
        case text, money, reference, number, address, time
    }

    public var kind: Kind {
        switch self {
        case .amount, .price: .money
        case .payment, .inquiry, .invoice, .creditNote: .reference
        case .used, .allowed, .percent: .number
        case .link: .address
        case .expires, .measured, .until: .time
        default: .text
        }
    }

    /// Whether it is made where the message is sent, and never travels with the job: a link is a key.
    public var isMadeAtSending: Bool { self == .link || self == .expires }

    /// A value as it could be, for previews.
    public func sample(in language: String) -> String {
        let english = language == "en"
        return switch self {
        case .name: "Awa Koné"
        case .amount: "12 500 XOF"
        case .description: "Kit Complet"
        case .payment: "pay_01KAJ3Q8Z5N7R2M4T6V8X0Y1W3"
        case .inquiry: "inq_01KAJ3Q8Z5N7R2M4T6V8X0Y1W3"
        case .organisation: "ONG Espoir & Avenir"
        case .invoice: "FA-2026-000042"
        case .creditNote: "AV-2026-000007"
        case .team: "Atelier Baobab"
        case .metric: english ? "traffic" : "trafic"
        case .used: "8,1 Go"
        case .allowed: "10 Go"
        case .percent: "81"
        case .period: "2026-01"
        case .plan: "Pro"
        case .until: english ? "2026-02-28 10:00 UTC" : "28/02/2026 à 10:00 UTC"
        case .price: "3.00 EUR"
        case .origin: "docker"
        case .measured: "2026-01-29 10:00"
        case .error: english ? "no answer in time" : "aucune réponse à temps"
        case .link: "https://pay.example.com/l/4f1c2a9e7b"
        case .expires: english ? "31 January 2026, 10:45 UTC" : "31/01/2026 à 10:45 UTC"
        }
    }
}

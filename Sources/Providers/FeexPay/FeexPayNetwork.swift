import Money
import ProviderPort

/// A network that FeexPay reaches.
struct FeexPayNetwork: Sendable, Equatable {
    /// What the customer does.
    enum Flow: String, Sendable, CaseIterable {
        /// Confirms a question on the phone.
        case push
        /// Fetches a code beforehand and tells it to us.
        case otp
        /// Goes to a page of the network.
        case hosted
    }

    /// What is not established about a network; `docs/providers/feexpay.md` has the sentences.
    enum Doubt: String, Sendable, CaseIterable {
        /// Nobody says how its customers confirm; as it is neither hosted nor asks for a code, a push is assumed.
        case pushByElimination = "push_by_elimination"
        /// Sources differ on the name in the path: `coris` answers, `coris_bj` was seen to be refused as no path at all.
        case slug
        /// No source tells push from page: a page in the answer is followed, a code is sent along when the customer has one.
        case flow
        /// FeexPay's answers name no currency; this one follows from the country.
        case currency
        /// How customers get their code is known from elsewhere, not from FeexPay.
        case codeSource = "code_source"
    }

    /// The last piece of the path, and the word that orders name the network by.
    let slug: String
    /// As customers know it.
    let label: String
    /// As FeexPay names it in webhooks and in its history.
    let feexPayLabel: String
    let country: FeexPayCountry
    let currency: Currency
    let flow: Flow
    let doubts: [Doubt]

    private init(
        _ slug: String, _ label: String, _ feexPayLabel: String, _ country: FeexPayCountry, _ flow: Flow, currency: Currency = .xof,
        doubts: [Doubt] = []
    ) {
        self.slug = slug
        self.label = label
        self.feexPayLabel = feexPayLabel
        self.country = country
        self.currency = currency
        self.flow = flow
        self.doubts = doubts
    }

    static let all: [FeexPayNetwork] = [
        FeexPayNetwork("mtn", "MTN Bénin", "MTN", .benin, .push),
        FeexPayNetwork("moov", "Moov Bénin", "MOOV", .benin, .push),
        FeexPayNetwork("celtiis_bj", "Celtiis Bénin", "CELTIIS BJ", .benin, .push),
        FeexPayNetwork("coris", "Coris Money Bénin", "CORIS", .benin, .otp, doubts: [.slug, .codeSource]),
        FeexPayNetwork("togocom_tg", "Togocom (Mixx) Togo", "TOGOCOM TG", .togo, .push, doubts: [.pushByElimination]),
        FeexPayNetwork("moov_tg", "Moov Togo", "MOOV TG", .togo, .push, doubts: [.pushByElimination]),
        FeexPayNetwork("mtn_ci", "MTN Côte d'Ivoire", "MTN CI", .ivoryCoast, .push, doubts: [.pushByElimination]),
        FeexPayNetwork("moov_ci", "Moov Côte d'Ivoire", "MOOV CI", .ivoryCoast, .hosted),
        FeexPayNetwork("orange_ci", "Orange Money Côte d'Ivoire", "ORANGE CI", .ivoryCoast, .hosted),
        FeexPayNetwork("wave_ci", "Wave Côte d'Ivoire", "WAVE CI", .ivoryCoast, .hosted),
        FeexPayNetwork("orange_sn", "Orange Money Sénégal", "ORANGE SN", .senegal, .otp, doubts: [.codeSource]),
        FeexPayNetwork("free_sn", "Free Money Sénégal", "FREE SN", .senegal, .hosted),
        FeexPayNetwork("wave_sn", "Wave Sénégal", "WAVE SN", .senegal, .hosted),
        FeexPayNetwork("mtn_cg", "MTN Congo", "MTN CG", .congo, .push, currency: .xaf, doubts: [.pushByElimination, .currency]),
        FeexPayNetwork("orange_bf", "Orange Money Burkina Faso", "ORANGE BF", .burkinaFaso, .push, doubts: [.flow]),
        FeexPayNetwork("moov_bf", "Moov Burkina Faso", "MOOV BF", .burkinaFaso, .push, doubts: [.flow]),
    ]

    /// Other names in use, for the slug they stand for.
    private static let aliases = [
        "coris_bj": "coris", "celtiis": "celtiis_bj", "mtn_bj": "mtn", "moov_bj": "moov", "mtn_benin": "mtn", "moov_benin": "moov",
        "togocom": "togocom_tg", "orange_money_ci": "orange_ci", "orange_money_sn": "orange_sn",
    ]

    /// The table's word for a name as people and FeexPay write it: `CELTIIS BJ` is `celtiis_bj`.
    static func word(_ name: String) -> String {
        let plain = String(name.lowercased().map { $0 == " " || $0 == "-" ? "_" : $0 })
        return aliases[plain] ?? plain
    }

    /// The network that FeexPay names by its label; nil for cards and for what it may add.
    static func labelled(_ label: String) -> FeexPayNetwork? {
        let name = word(label)
        return all.first { $0.slug == name || word($0.feexPayLabel) == name }
    }

    var stepKind: CustomerStep.Kind { flow == .hosted ? .redirect : .approve }

    /// How the customer gets the code; nil where there is none.
    var codeHint: String? {
        switch slug {
        case "orange_sn": "the customer dials #144#391# on the phone that pays and types the code it answers"
        case "coris": "the customer asks Coris Money for a payment code, in its application or by its USSD menu, and types it"
        default: nil
        }
    }
}

/// A card that FeexPay takes.
enum FeexPayCard: String, Sendable, CaseIterable {
    case visa, mastercard

    /// FeexPay's word.
    var type: String { rawValue.uppercased() }
    var label: String { self == .visa ? "Visa" : "Mastercard" }
}

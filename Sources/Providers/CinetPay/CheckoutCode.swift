import ProviderPort

/// CinetPay's table of codes, as it is documented; `docs/providers/cinetpay.md` shows it with its uncertainties.
enum CheckoutCode {
    /// What a code of the check call means, before `data.status` has its say.
    enum Meaning: Sendable, Equatable {
        /// `00`: captured, if the status agrees.
        case success
        case claim(ProviderClaim)
        /// This claim once the status is `REFUSED`, the other one until then.
        case whenRefused(ProviderClaim, otherwise: ProviderClaim)
        /// The sources disagree on the code: only the status counts.
        case followStatus
        /// No change, and asking again may help.
        case unavailable
        /// No change, and somebody must look: keys or account.
        case misconfigured
        /// No change, and somebody must look.
        case rejected
        case noChange
    }

    static func meaning(of code: String) -> Meaning {
        switch code {
        case "00": .success
        case "201": .claim(.pending)
        case "600", "602", "606": .claim(.failed)
        case "604": .whenRefused(.failed, otherwise: .processing)
        case "605": .whenRefused(.failed, otherwise: .unknown)
        case "607", "623", "661", "662", "663": .claim(.processing)
        case "625": .claim(.expired)
        case "627": .claim(.cancelled)
        case "635", "636", "637", "641", "642", "807", "808", "809", "810", "811", "812": .whenRefused(.failed, otherwise: .unknown)
        case "660": .claim(.refunded)
        case "664": .followStatus
        case "603", "621", "622", "626", "804": .unavailable
        case "609", "613": .misconfigured
        case "608", "610", "611", "612", "614", "615", "616", "617", "618", "619", "620": .rejected
        default: .noChange
        }
    }

    /// Why a payment could not be started.
    static func initiateError(_ envelope: CheckoutEnvelope, status: Int) -> ProviderError {
        let kind: ProviderError.Kind
        switch meaning(of: envelope.code) {
        case .unavailable: kind = .unavailable
        case .misconfigured: kind = .misconfigured
        case .noChange where status >= 500: kind = .unavailable
        default: kind = .rejected
        }
        return ProviderError(kind, "CinetPay does not start the payment: \(envelope.words.prefix(200))", code: envelope.code)
    }
}

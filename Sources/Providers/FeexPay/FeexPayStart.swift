import Formats
import Money
import ProviderPort

/// Starts an attempt, and tells what its customer does next.
struct FeexPayStart: Sendable {
    let offer: FeexPayOffer
    let request: FeexPayRequest
    let api: FeexPayAPI
    let nowMs: @Sendable () -> Int64

    func callAsFunction(_ order: PaymentOrder, over transport: any ProviderTransport) async throws(ProviderError) -> Initiation {
        switch try offer.route(of: order) {
        case .network(let network):
            let prepared = try request.start(order, at: network)
            let path = FeexPayShape.startPath(network.slug)
            let started = try await api.start(path, prepared.body, label: network.label, over: transport)
            return initiation(order, started, network, phone: prepared.phone)
        case .card(let card):
            let prepared = try request.card(order, card)
            let started = try await api.start(FeexPayShape.cardPath, prepared.body, label: card.label, over: transport)
            if let notice = notice(started, order) { return ended(order, started, notice) }
            guard let page = started.pageURL else { throw ProviderError(.unavailable, "the answer to a payment by \(card.label) has no page") }
            return redirect(order, started, to: page)
        }
    }

    private func initiation(_ order: PaymentOrder, _ started: FeexPayAPI.Started, _ network: FeexPayNetwork, phone: String) -> Initiation {
        if let notice = notice(started, order) { return ended(order, started, notice) }
        // A page in the answer is followed, whatever the table says of the network.
        if let page = started.pageURL { return redirect(order, started, to: page) }
        let wait =
            switch network.flow {
            case .push: FeexPayShape.pushDeadlineMs
            case .otp: FeexPayShape.codeDeadlineMs
            case .hosted: FeexPayShape.pageDeadlineMs
            }
        let deadline = nowMs() + wait
        let words = FeexPayInstruction(network)
        let step = CustomerStep(
            .approve,
            [
                "instruction_fr": words.french, "instruction_en": words.english, "network": network.label, "phone": MaskedPhone.of(phone),
                "expires_at": Timestamp.rfc3339(deadline),
            ])
        return Initiation(
            paymentURL: order.pageURL, qrCode: nil, references: references(started, order), expiresAtMs: deadline, step: step)
    }

    private func redirect(_ order: PaymentOrder, _ started: FeexPayAPI.Started, to page: String) -> Initiation {
        Initiation(
            paymentURL: page, qrCode: nil, references: references(started, order), expiresAtMs: nowMs() + FeexPayShape.pageDeadlineMs, step: .redirect
        )
    }

    private func ended(_ order: PaymentOrder, _ started: FeexPayAPI.Started, _ notice: ProviderNotice) -> Initiation {
        Initiation(
            paymentURL: order.pageURL, qrCode: nil, references: references(started, order), expiresAtMs: nil, step: CustomerStep(.approve),
            notice: notice)
    }

    /// A refusal that came with the answer. A success is left to the status call, which names the amount.
    private func notice(_ started: FeexPayAPI.Started, _ order: PaymentOrder) -> ProviderNotice? {
        guard [.failed, .cancelled].contains(started.record.claim) else { return nil }
        return started.record.notice(references: references(started, order), currency: order.amount.currency)
    }

    private func references(_ started: FeexPayAPI.Started, _ order: PaymentOrder) -> [ProviderReference] {
        (started.record.reference.map { [ProviderReference("reference", $0)] } ?? []) + [.ours(order.attempt)]
    }
}

/// What the waiting page says.
struct FeexPayInstruction: Sendable, Equatable {
    let french: String
    let english: String

    init(_ network: FeexPayNetwork) {
        switch network.flow {
        case .push:
            french = "\(network.label) vient d'envoyer une demande de paiement à votre téléphone. Acceptez-la avec votre code secret."
            english = "\(network.label) has sent a payment request to your phone. Accept it with your secret code."
        case .otp:
            french = "\(network.label) vérifie votre code. Gardez votre téléphone à portée de main : une confirmation peut vous être demandée."
            english = "\(network.label) is checking your code. Keep your phone at hand: you may be asked to confirm."
        case .hosted:
            french = "\(network.label) traite votre paiement. Suivez ce que votre téléphone vous demande."
            english = "\(network.label) is processing your payment. Follow what your phone asks for."
        }
    }
}

import Access
import Formats
import HTTPServer
import Money
import Payments
import ProviderPort

/// What a browser may ask with nothing but a link's token, from the page of any site: the token is the permission, and no cookie is looked
/// at, so that a foreign page gains nothing that its author does not hold already.
struct LinkCalls: Sendable {
    let gate: LinkGate
    let providers: ProviderRegistry
    let start: CheckoutStart
    let streams: StatusStreams

    var routes: [Route] {
        let routes = [
            Route("GET", "/pay/{token}/status", .capability, bodyLimit: 0, status),
            Route("GET", "/pay/{token}/choices", .capability, bodyLimit: 0, choices),
            Route("POST", "/pay/{token}/initiate", .capability, bodyLimit: 4096) { try await initiate($0, replaces: false) },
            Route("POST", "/pay/{token}/retry", .capability, bodyLimit: 4096) { try await initiate($0, replaces: true) },
            Route(following: "/pay/{token}/events", .capability) { call in
                try await streams.open(try await gate.admit(call).payment.id, call, who: gate.clients.limitKey(of: call.request))
            },
        ]
        return routes + ["status", "choices", "initiate", "retry", "events"].map { Self.preflight("/pay/{token}/\($0)") }
    }

    /// What browsers ask before they send JSON to another site.
    private static func preflight(_ pattern: String) -> Route {
        Route("OPTIONS", pattern, .capability, bodyLimit: 0) { _ in
            HTTPResponse(
                status: 204,
                headers: [
                    "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type, Last-Event-ID",
                    "Access-Control-Max-Age": "86400",
                ])
        }
    }

    // MARK: Reading

    private func status(_ call: WebCall) async throws -> HTTPResponse {
        let admitted = try await gate.admit(call)
        let payment = admitted.payment
        let currency = payment.amount.currency
        return .json(
            200,
            [
                "payment": .string(payment.id), "status": .string(payment.state.rawValue), "final": .bool(payment.state.endsWatching),
                "amount": .string(payment.amount.decimalText), "currency": .string(currency.code),
                "captured": .string(Money(payment.captured, currency).decimalText), "description": .string(payment.description),
                "language": .string(payment.customer.language), "may_pay": .bool(admitted.grant.mayPay),
                "updated_at": PaymentAnswer.time(payment.updatedAtMs), "link_expires_at": PaymentAnswer.time(admitted.grant.expiresAtMs),
            ])
    }

    /// The ways to pay that fit amount and country, in the payment's language.
    private func choices(_ call: WebCall) async throws -> HTTPResponse {
        let admitted = try await gate.admit(call)
        let isOpen = admitted.grant.mayPay && PaymentSentence.closing(admitted.payment.state, admitted.words) == nil
        let offer = CheckoutOffer(admitted.payment, providers, try await gate.switches(), country: call.request.queryValue("country"))
        let words = admitted.words
        let shown: [JSON] = offer.entries.map { entry in
            [
                "provider": .string(entry.choice.provider), "method": .optional(entry.choice.method),
                "label": .string(words(entry.choice.french, entry.choice.english)),
                "ways": .array(entry.ways.map { Self.way($0, words) }),
            ]
        }
        return .json(
            200,
            [
                "country": .optional(offer.country),
                "countries": .array(offer.countries.map { ["code": .string($0), "name": .string(Country.name(of: $0, words))] }),
                "choices": .array(isOpen ? shown : []),
            ])
    }

    private static func way(_ way: ProviderOffer.Choice, _ words: Words) -> JSON {
        [
            "method": .string(way.method), "network": .optional(way.network), "label": .string(way.label),
            "countries": .array(way.countries.map { .string($0) }), "flow": .string(way.flow.rawValue),
            "needs": .array(way.needs.map { .string($0) }),
        ]
    }

    // MARK: Paying

    private func initiate(_ call: WebCall, replaces: Bool) async throws -> HTTPResponse {
        let admitted = try await gate.admit(call)
        guard admitted.grant.mayPay else { throw WebProblem(status: 403, title: "Forbidden", detail: "this link is for looking only") }
        let json = try RequestBody.json(call.request)
        var fields = FieldReader(json)
        let provider = fields.text("provider", required: true, limit: 40) ?? ""
        try fields.check()
        guard let choice = CheckoutChoice.all.first(where: { $0.provider == provider }) else { throw WebProblem.notOn(provider, providers) }
        let sent = Dictionary((json.object ?? JSONObject()).compactMap { member in member.value.string.map { (member.key, $0) } }) { first, _ in first
        }
        let started = try await start(admitted.payment.id, choice.plan(sent, actor: LinkPages.actor), replaces: replaces)
        return .json(
            201,
            [
                "payment": .string(started.payment.id), "status": .string(started.payment.state.rawValue),
                "provider": .string(started.attempt.provider), "payment_url": .optional(started.attempt.paymentURL),
                "step": PaymentAnswer.step(started.attempt.step), "qr_code": .optional(started.attempt.qrCode),
                "expires_at": PaymentAnswer.time(started.attempt.expiresAtMs),
            ])
    }
}

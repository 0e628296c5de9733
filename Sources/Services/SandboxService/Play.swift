import Formats
import HTTPServer
import Telemetry

/// Leads a request to the party it is meant for, and carries out what happens when a customer decides.
struct Play: Sendable {
    let configuration: SandboxConfiguration
    let book: SandboxBook
    let courier: Courier
    let couriers: Couriers
    let pauses: Couriers
    let log: Log
    /// In the order in which they are asked for paths at the root.
    private let stages: [any HouseStage]
    private let text: TextStage
    private let messages: MessageStage
    private let control: ControlStage

    init(configuration: SandboxConfiguration, book: SandboxBook, courier: Courier, couriers: Couriers, pauses: Couriers, log: Log) {
        self.configuration = configuration
        self.book = book
        self.courier = courier
        self.couriers = couriers
        self.pauses = pauses
        self.log = log
        stages = [
            CinetPayStage(configuration: configuration, book: book),
            PaymentBackendStage(configuration: configuration, book: book),
            FeexPayStage(configuration: configuration, book: book),
            OrangeMoneyStage(configuration: configuration, book: book),
            KKiaPayStage(configuration: configuration, book: book),
            WaveStage(configuration: configuration, book: book),
            ICountStage(configuration: configuration, book: book),
        ]
        text = TextStage(configuration: configuration, book: book)
        messages = MessageStage(configuration: configuration, book: MessageBook(), courier: courier, couriers: couriers)
        control = ControlStage(configuration: configuration, book: book, courier: courier, messages: messages)
    }

    /// - Returns: nil when no answer is to come: the connection was held open for long enough.
    func respond(_ request: HTTPRequest) async -> HTTPResponse? {
        let response: HTTPResponse?
        do throws(SandboxError) {
            response = try await lead(request)
        } catch {
            response = .problem(error.status, "The sandbox cannot do that", detail: error.description)
        }
        if !request.path.hasPrefix("/sandbox/") { await book.record(call: Self.record(request, response)) }
        if response == nil { await pauses.pause(Mishap.heldFor) }
        return response
    }

    private func lead(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse? {
        let base = "http://\(request.headers["host"] ?? configuration.address.description)"
        let path = request.path
        if path == "/healthz" { return .text(200, "ok\n") }
        if path == "/" { return await FrontPage.response(stages, book) }
        if let response = try await payPage(request) { return response }
        if let response = await messages.respond(request) { return response }
        if let response = try await control.respond(request, path, settle: settle) { return response }
        for stage in stages {
            let path = Self.path(path, under: "/" + stage.house.rawValue)
            let mishap = await mishap(of: request, path, at: stage)
            if mishap == .failure { return Mishap.answer }
            guard let response = try await stage.respond(request, path, base: base, settle: settle) else { continue }
            if case .late(let ms) = mishap { await pauses.pause(.milliseconds(ms)) }
            return mishap == .unanswered ? nil : response
        }
        if let response = await text.respond(request, Self.path(path, under: "/openai")) { return response }
        throw SandboxError(404, "nobody here answers \(request.method) \(path.prefix(200))")
    }

    private static func path(_ path: String, under name: String) -> String {
        path.hasPrefix(name + "/") ? String(path.dropFirst(name.count)) : path
    }

    // MARK: Calls that go wrong

    private func mishap(of request: HTTPRequest, _ path: String, at stage: any HouseStage) async -> Mishap? {
        guard let purpose = stage.purpose(of: request, path) else { return nil }
        if purpose == .start, let mishap = TestPhone.mishap(ofStart: request.body) { return mishap }
        return await book.takeMishap(stage.house, purpose) { Self.names(request, path) }
    }

    /// Whatever of a call may be a payment's name.
    private static func names(_ request: HTTPRequest, _ path: String) -> [String] {
        let parts = path.split(separator: "/").map { PercentEncoding.decode(String($0)) ?? String($0) }
        let query = (try? FormURLEncoded.parse(request.query.map { Array($0.utf8) } ?? [])) ?? []
        let members = (try? JSON(parsing: request.body))?.object ?? [:]
        return parts + query.map(\.value) + members.compactMap { $0.value.string }
    }

    // MARK: The customer

    private func payPage(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse? {
        let parts = request.path.split(separator: "/")
        guard parts.count == 3, parts[1] == "pay" else { return nil }
        let payment = try await book.require(String(parts[2]))
        switch request.method {
        case "GET": return PayPage.choice(payment)
        case "POST":
            let fields = (try? FormURLEncoded.parse(request.body)) ?? []
            guard let action = PayPage.actions.first(where: { action in fields.contains { $0.name == "action" && $0.value == action.name } }) else {
                throw SandboxError(400, "field 'action' is \(PayPage.actions.map(\.name).joined(separator: ", "))")
            }
            let steps = fields.filter { $0.name == "step" }.map { JSON.string($0.value) }
            if !steps.isEmpty { try await book.setScenario(try Scenario(steps: steps), of: payment.reference) }
            if let fault = action.fault { try await book.setFault(fault, of: payment.reference) }
            let settled = try await settle(try await book.require(payment.reference), action.state)
            return PayPage.leave(settled, stage(of: payment))
        default: return nil
        }
    }

    /// How long an early notice is left standing for the product to ask about.
    private static let earlyPause: Duration = .seconds(2)

    private func stage(of payment: SandboxPayment) -> (any HouseStage)? { stages.first { $0.house == payment.house } }

    /// The customer has decided: settles the payment and sends its notices by the scenario.
    @Sendable private func settle(_ payment: SandboxPayment, _ state: SandboxPayment.State) async throws(SandboxError) -> SandboxPayment {
        let plan = NotificationPlan(payment.scenario)
        if !payment.scenario.dropped { await courier.deliver(stage(of: payment)?.prelude(payment) ?? []) }
        if !plan.early.isEmpty {
            let waiting = try await book.move(payment.reference, to: .waiting)
            // Few tries: the customer does not wait for a product that is down.
            var parcels = plan.early.compactMap { parcel(waiting, $0) }
            for index in parcels.indices { parcels[index].tries = 3 }
            await courier.deliver(parcels)
            await waitForStatusCall(waiting)
        }
        let settled = try await book.move(payment.reference, to: state)
        log.info("settled", ["reference": .string(settled.reference), "provider": .string(settled.house.rawValue), "state": .string(state.rawValue)])
        var parcels = plan.late.compactMap { parcel(settled, $0) }
        if !settled.scenario.dropped { parcels += stage(of: settled)?.epilogue(settled) ?? [] }
        couriers.send { [courier, parcels] in await courier.deliver(parcels) }
        return settled
    }

    private func parcel(_ payment: SandboxPayment, _ step: NotificationPlan.Step) -> Parcel? {
        stage(of: payment)?.notice(payment, step.notice, delayMs: step.delayMs)
    }

    /// Gives the product the chance to see the waiting state that it was told of; a customer takes longer than that.
    private func waitForStatusCall(_ payment: SandboxPayment) async {
        let deadline = ContinuousClock.now.advanced(by: Self.earlyPause)
        while ContinuousClock.now < deadline {
            if let found = await book.find(payment.reference), found.statusCalls > payment.statusCalls { return }
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
    }

    // MARK: What was seen

    /// What is not listed of a call's body: keys, and what belongs to the customer alone.
    private static let unlisted = ["apikey", "phoneNumber", "phone", "otp", "merchant_key", "pass", "sid"]

    /// A call as it is listed: never the keys it was made with.
    private static func record(_ request: HTTPRequest, _ response: HTTPResponse?) -> JSON {
        var body = String(decoding: request.body.prefix(4096), as: UTF8.self)
        // What is sent to people, and to which number.
        let isMessage = MessageStage.carriers.contains { request.path.hasPrefix("/\($0)/") }
        if isMessage { body = "" }
        if !isMessage, case .object(var members)? = try? JSON(parsing: request.body), unlisted.contains(where: { members[$0] != nil }) {
            for name in unlisted where members[name] != nil { members[name] = "[redacted]" }
            body = JSON.object(members).text
        }
        var headers: [(String, JSON)] = []
        for name in ["content-type", "idempotency-key", "user-agent", "x-client-request-id"] {
            if let value = request.headers[name] { headers.append((name, .string(value))) }
        }
        return [
            "at": .string(Timestamp.rfc3339(WallClock.nowMs)), "method": .string(request.method), "path": .string(request.path),
            "query": .optional(request.query), "headers": .object(JSONObject(headers)), "body": .string(body),
            "status": .optional((response?.status).map { Int64($0) }),
        ]
    }
}

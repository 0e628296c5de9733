import MessagePort
import Notifications
import Testing

@Suite("By which carrier a message goes next")
struct DeliveryPlanTests {
    private static let whatsApp = DeliveryRoute(carrier: "whatsapp", channel: .whatsapp, againAfterUnknown: 1)
    private static let talking = DeliveryRoute(carrier: "africas-talking", channel: .sms, againAfterUnknown: 1)
    private static let orange = DeliveryRoute(carrier: "orange-sms", channel: .sms, againAfterUnknown: 1)
    private static let mail = DeliveryRoute(carrier: "smtp", channel: .email, againAfterUnknown: nil)
    private static let all = [whatsApp, talking, orange, mail]
    private static let now: Int64 = 10_000_000

    private static func tried(
        _ route: DeliveryRoute, _ state: NotificationTry.State, isAddressFault: Bool = false, agoMs: Int64 = 1000
    ) -> NotificationTry {
        NotificationTry(
            carrier: route.carrier, channel: route.channel, state: state, code: "c", detail: "d", isAddressFault: isAddressFault,
            beganAtMs: now - agoMs)
    }

    private static func next(_ tries: [NotificationTry], stops: [String: Int64] = [:], routes: [DeliveryRoute] = all) -> DeliveryPlan.Step {
        DeliveryPlan(routes: routes, stops: stops, tries: tries).next(nowMs: now)
    }

    @Test("the first of the order, then the next that was not refused")
    func order() {
        #expect(Self.next([]) == .send(Self.whatsApp))
        #expect(Self.next([Self.tried(Self.whatsApp, .refused)]) == .send(Self.talking))
        #expect(Self.next([Self.tried(Self.whatsApp, .failed), Self.tried(Self.talking, .refused)]) == .send(Self.orange))
        let all = Self.all.map { Self.tried($0, .refused) }
        #expect(Self.next(all) == .over(reason: "whatsapp: d (c); africas-talking: d (c); orange-sms: d (c); smtp: d (c)"))
    }

    @Test("an address that one carrier calls wrong is wrong for the others of its channel, and for no other channel")
    func addressFault() {
        let tries = [Self.tried(Self.whatsApp, .refused, isAddressFault: true), Self.tried(Self.talking, .refused, isAddressFault: true)]
        #expect(Self.next(tries) == .send(Self.mail))
    }

    @Test("a temporary refusal is tried again there, for a while; then another one has its chance, and the first again when none is left")
    func patience() {
        #expect(Self.next([Self.tried(Self.whatsApp, .retry)]) == .send(Self.whatsApp))
        #expect(Self.next([Self.tried(Self.whatsApp, .held)]) == .send(Self.whatsApp))
        let many = (0..<DeliveryPlan.triesMax).map { _ in Self.tried(Self.whatsApp, .retry) }
        #expect(Self.next(many) == .send(Self.talking))
        #expect(Self.next([Self.tried(Self.whatsApp, .held, agoMs: DeliveryPlan.patienceMs)]) == .send(Self.talking))
        #expect(Self.next(many, routes: [Self.whatsApp]) == .send(Self.whatsApp))
        let others = many + [Self.tried(Self.mail, .refused)]
        #expect(Self.next(others, routes: [Self.whatsApp, Self.mail]) == .send(Self.whatsApp))
    }

    @Test("what may have been taken is sent once more, and then not again, by nobody")
    func unknown() {
        #expect(Self.next([Self.tried(Self.whatsApp, .unknown)]) == .send(Self.whatsApp))
        #expect(Self.next([Self.tried(Self.whatsApp, .sending), Self.tried(Self.whatsApp, .unknown)]) == .doubtful)
        #expect(Self.next([Self.tried(Self.whatsApp, .sending), Self.tried(Self.whatsApp, .sending)]) == .doubtful)
        let mails = (0..<4).map { _ in Self.tried(Self.mail, .unknown) }
        #expect(Self.next(mails, routes: [Self.mail]) == .send(Self.mail), "a mail under the same Message-ID does no harm")
    }

    @Test("a carrier that is stopped is passed over, and waited for where there is no other")
    func stopped() {
        #expect(Self.next([Self.tried(Self.whatsApp, .down)], stops: ["whatsapp": Self.now + 5]) == .send(Self.talking))
        let stops = ["whatsapp": Self.now + 500, "smtp": Self.now + 200]
        #expect(Self.next([], stops: stops, routes: [Self.whatsApp, Self.mail]) == .wait(untilMs: Self.now + 200, reason: "smtp is stopped"))
        #expect(Self.next([Self.tried(Self.whatsApp, .down)], stops: ["whatsapp": Self.now]) == .send(Self.whatsApp))
    }

    @Test("who cannot be reached at all")
    func nobody() {
        #expect(Self.next([], routes: []) == .over(reason: "there is no channel on which the person can be reached"))
    }
}

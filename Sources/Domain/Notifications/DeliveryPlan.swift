import MessagePort

/// One way that a message can go.
package struct DeliveryRoute: Sendable, Equatable {
    package let carrier: String
    package let channel: MessageChannel
    package let againAfterUnknown: Int?

    package init(carrier: String, channel: MessageChannel, againAfterUnknown: Int?) {
        self.carrier = carrier
        self.channel = channel
        self.againAfterUnknown = againAfterUnknown
    }

    package init(_ carrier: any MessageCarrier) {
        self.init(carrier: carrier.name, channel: carrier.channel, againAfterUnknown: carrier.againAfterUnknown)
    }
}

/// Says by which carrier a message goes next. A pure value: the routes in their order, and what has been tried.
package struct DeliveryPlan: Sendable {
    package enum Step: Sendable, Equatable {
        case send(DeliveryRoute)
        /// Nothing can be sent before then.
        case wait(untilMs: Int64, reason: String)
        /// It may have been taken: it must not be sent once more, and a receipt may still tell.
        case doubtful
        /// Nobody takes it.
        case over(reason: String)
    }

    /// How long one carrier is tried while another could be.
    package static let patienceMs: Int64 = 10 * 60_000
    /// How often one carrier is tried while another could be.
    package static let triesMax = 5

    /// In the order of preference: those that reach the person.
    package let routes: [DeliveryRoute]
    /// By carrier, until when nothing goes by it.
    package let stops: [String: Int64]
    /// Of this round, oldest first.
    package let tries: [NotificationTry]

    package init(routes: [DeliveryRoute], stops: [String: Int64] = [:], tries: [NotificationTry] = []) {
        self.routes = routes
        self.stops = stops
        self.tries = tries
    }

    package func next(nowMs: Int64) -> Step {
        var late: DeliveryRoute?
        var wait: (untilMs: Int64, reason: String)?
        var reasons: [String] = []
        for route in routes {
            switch standing(of: route, nowMs) {
            case .over(let reason): reasons.append(reason)
            case .doubtful: return .doubtful
            case .stopped(let untilMs):
                let earlier = wait.map { min($0.untilMs, untilMs) } ?? untilMs
                wait = (earlier, "\(route.carrier) is stopped")
            case .open:
                guard isSlow(route, nowMs) else { return .send(route) }
                late = late ?? route
            }
        }
        if let late { return .send(late) }
        if let wait { return .wait(untilMs: wait.untilMs, reason: wait.reason) }
        return .over(reason: reasons.isEmpty ? "there is no channel on which the person can be reached" : reasons.joined(separator: "; "))
    }

    private enum Standing { case open, doubtful, stopped(untilMs: Int64), over(String) }

    private func standing(of route: DeliveryRoute, _ nowMs: Int64) -> Standing {
        let mine = tries.filter { $0.carrier == route.carrier }
        if let last = mine.last {
            switch last.state {
            case .refused, .failed, .accepted, .delivered, .read:
                return .over("\(route.carrier): \(last.detail ?? last.state.rawValue)" + (last.code.map { " (\($0))" } ?? ""))
            case .sending, .unknown:
                let times = mine.count { $0.state == .sending || $0.state == .unknown }
                if let again = route.againAfterUnknown, times > again { return .doubtful }
            case .retry, .held, .down: break
            }
        }
        if tries.contains(where: { $0.channel == route.channel && $0.carrier != route.carrier && $0.state == .refused && $0.isAddressFault }) {
            return .over("\(route.carrier): the address was refused on this channel")
        }
        if let untilMs = stops[route.carrier], untilMs > nowMs { return .stopped(untilMs: untilMs) }
        return .open
    }

    /// Whether it has had its chance, where another one is left.
    private func isSlow(_ route: DeliveryRoute, _ nowMs: Int64) -> Bool {
        let mine = tries.filter { $0.carrier == route.carrier }
        guard let first = mine.first else { return false }
        return nowMs - first.beganAtMs >= Self.patienceMs || mine.count { $0.state == .retry } >= Self.triesMax
    }
}

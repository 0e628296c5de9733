import Database
import Notifications

/// What a link comes to where its message is sent.
public enum SignedLink: Sendable, Equatable {
    case good(url: String, expiresAtMs: Int64)
    /// It is of no use (any more): whoever was to get it needs another.
    case over(reason: String)
    /// Nobody waits for it any more: it was used, taken back, or another was sent in its place.
    case settled(reason: String)
}

/// Signs the links of downloads from their rows; the room of downloads fills it.
public typealias DownloadLinking = @Sendable (_ download: String, _ nowMs: Int64, _ connection: Connection) throws -> SignedLink
/// Signs links to a payment's page.
public typealias PaymentLinking = @Sendable (_ payment: String, _ nowMs: Int64, _ connection: Connection) throws -> SignedLink

/// Signs links to a team's page, where its plan can be paid.
/// - Parameter periodEndMs: the end of the period that the message is about.
public typealias TeamLinking = @Sendable (_ team: String, _ periodEndMs: Int64, _ nowMs: Int64, _ connection: Connection) throws -> SignedLink

/// Signs what messages link to.
public struct MessageLinking: Sendable {
    private let payments: PaymentLinking
    private let downloads: DownloadLinking
    private let teams: TeamLinking
    private static let unsigned = SignedLink.over(reason: "no link can be signed: SECRET_KEY is not set")

    public init(payments: PaymentLinking? = nil, downloads: DownloadLinking? = nil, teams: TeamLinking? = nil) {
        self.payments = payments ?? { _, _, _ in Self.unsigned }
        self.downloads = downloads ?? { _, _, _ in Self.unsigned }
        self.teams = teams ?? { _, _, _, _ in Self.unsigned }
    }

    func sign(_ link: SendNotification.Link, nowMs: Int64, in connection: Connection) throws -> SignedLink {
        let signed =
            switch link.kind {
            case .payment: try payments(link.id, nowMs, connection)
            case .download: try downloads(link.id, nowMs, connection)
            case .team: try teams(link.id, link.periodEndMs ?? nowMs, nowMs, connection)
            }
        guard case .good(_, let expiresAtMs) = signed, expiresAtMs <= nowMs else { return signed }
        return .over(reason: "the link has expired")
    }

    /// Whether somebody still waits for a link, so that its not reaching them is a task.
    public func isWaitedFor(_ link: SendNotification.Link, nowMs: Int64, in connection: Connection) throws -> Bool {
        if case .settled = try sign(link, nowMs: nowMs, in: connection) { false } else { true }
    }
}

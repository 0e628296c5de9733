import Downloads
import NotificationDelivery

extension DownloadLink {
    /// How messages link to downloads: signed from the row where a message is sent, and only while the download can be used.
    public func linking(baseURL: String) -> DownloadLinking {
        { id, nowMs, connection in
            guard let grant = try Downloads.show(id, in: connection), let path = path(of: grant) else {
                return .over(reason: "there is no download \(id)")
            }
            let standing = grant.standing(nowMs: nowMs)
            switch standing {
            case .open: return .good(url: baseURL + path, expiresAtMs: grant.expiresAtMs, uses: grant.usesMax - grant.usedCount)
            case .expired: return .over(reason: "download \(id) is \(standing.rawValue)")
            case .used, .revoked: return .settled(reason: "download \(id) is \(standing.rawValue)")
            }
        }
    }
}

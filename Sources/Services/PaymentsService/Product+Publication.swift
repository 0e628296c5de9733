import Downloads
import Notifications
import Outbox
import Publication
import Settings

extension Product {
    /// How finals are published here: for how long, and with which message.
    public static func publication(_ settings: Settings, outbox: Outbox) -> Publication {
        publication(
            terms: DownloadTerms(minutes: settings.storage.downloadMinutes, uses: settings.storage.downloadUses),
            canSign: settings.secretKey != nil, outbox: outbox)
    }

    /// - Parameter canSign: whether there is a key to sign links with: without one nothing is published.
    public static func publication(terms: DownloadTerms, canSign: Bool, outbox: Outbox) -> Publication {
        Publication(outbox: outbox, terms: terms, canSign: canSign) { grant, _, payment in
            try SendNotification.published(download: grant.id, for: payment)
        }
    }
}

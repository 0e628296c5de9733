import Downloads
import Notifications
import Outbox
import Publication
import Settings

extension Product {
    /// How finals are published here: for how long, and with which message.
    public static func publication(_ settings: Settings, outbox: Outbox) -> Publication {
        Publication(
            outbox: outbox, terms: DownloadTerms(minutes: settings.storage.downloadMinutes, uses: settings.storage.downloadUses),
            canSign: settings.secretKey != nil
        ) { grant, _, payment in try SendNotification.published(download: grant.id, for: payment) }
    }
}

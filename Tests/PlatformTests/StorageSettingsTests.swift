import Settings
import Testing

@Suite("Settings of files and downloads")
struct StorageSettingsTests {
    private static let bucket = [
        "STORAGE_KIND": "s3", "STORAGE_S3_ENDPOINT": "https://s3.example.org:9000/", "STORAGE_S3_BUCKET": "quittance-files",
        "STORAGE_S3_ACCESS_KEY": "AKIA1", "STORAGE_S3_SECRET_KEY": "hunter2",
    ]

    /// The variables that a message names; empty when the settings are taken.
    private func refused(_ change: [String: String]) -> [String] {
        do throws(SettingsError) {
            _ = try Settings(environment: Self.bucket.merging(change) { $1 }.filter { !$0.value.isEmpty })
            return []
        } catch {
            return error.problems.map(\.variable)
        }
    }

    @Test("files are kept locally and a link is good once for 45 minutes unless it is said otherwise")
    func standard() throws {
        let storage = try Settings(environment: [:]).storage
        #expect(storage.freeMin == 1 << 30 && storage.unpaidKeepDays == 30 && storage.unpaidMax == 20 << 30)
        let unbounded = try Settings(environment: ["STORAGE_FREE_MIN_MIB": "0", "INQUIRY_FILES_MAX_MIB": "0", "INQUIRY_KEEP_DAYS": "7"]).storage
        #expect(unbounded.freeMin == 0 && unbounded.unpaidKeepDays == 7 && unbounded.unpaidMax == nil)
        #expect(storage.s3 == nil && storage.downloadMinutes == 45 && storage.downloadUses == 1 && storage.linkSeconds == 30)
        // A bucket that is described but not chosen is not used.
        #expect(try Settings(environment: Self.bucket.merging(["STORAGE_KIND": "local"]) { $1 }).storage.s3 == nil)
    }

    @Test("a bucket is read as it is meant")
    func bucket() throws {
        let more = [
            "STORAGE_S3_PREFIX": "shop/live", "STORAGE_S3_ADDRESSING": "host", "STORAGE_S3_REGION": "eu-west-3", "STORAGE_LINK_SECONDS": "10",
        ]
        let settings = try Settings(environment: Self.bucket.merging(more) { $1 })
        let expected = StorageSettings.S3(
            endpoint: "https://s3.example.org:9000", region: "eu-west-3", bucket: "quittance-files", prefix: "shop/live/", isInHost: true,
            accessKey: "AKIA1", secretKey: Secret("hunter2"))
        #expect(settings.storage.s3 == expected && settings.storage.linkSeconds == 10)
        #expect(!settings.describe().contains { $0.value.contains("hunter2") })
    }

    @Test(
        "what is missing or wrong is named",
        arguments: [
            (["STORAGE_S3_ENDPOINT": ""], "STORAGE_S3_ENDPOINT"), (["STORAGE_S3_ENDPOINT": "s3.example.org"], "STORAGE_S3_ENDPOINT"),
            (["STORAGE_S3_ENDPOINT": "https://s3.example.org/files"], "STORAGE_S3_ENDPOINT"),
            (["STORAGE_S3_ENDPOINT": "https://k:s@s3.example.org"], "STORAGE_S3_ENDPOINT"), (["STORAGE_S3_BUCKET": ""], "STORAGE_S3_BUCKET"),
            (["STORAGE_S3_BUCKET": "a/b"], "STORAGE_S3_BUCKET"), (["STORAGE_S3_ACCESS_KEY": ""], "STORAGE_S3_ACCESS_KEY"),
            (["STORAGE_S3_SECRET_KEY": ""], "STORAGE_S3_SECRET_KEY"), (["STORAGE_S3_PREFIX": "../x"], "STORAGE_S3_PREFIX"),
            (["STORAGE_S3_PREFIX": "/"], "STORAGE_S3_PREFIX"), (["STORAGE_KIND": "ftp"], "STORAGE_KIND"),
            (["STORAGE_S3_ADDRESSING": "dns"], "STORAGE_S3_ADDRESSING"), (["STORAGE_LINK_SECONDS": "4"], "STORAGE_LINK_SECONDS"),
            (["STORAGE_FREE_MIN_MIB": "-1"], "STORAGE_FREE_MIN_MIB"), (["INQUIRY_KEEP_DAYS": "0"], "INQUIRY_KEEP_DAYS"),
            (["INQUIRY_FILES_MAX_MIB": "1GB"], "INQUIRY_FILES_MAX_MIB"),
            (["DOWNLOAD_TTL_MINUTES": "0"], "DOWNLOAD_TTL_MINUTES"), (["DOWNLOAD_MAX_USES": "101"], "DOWNLOAD_MAX_USES"),
        ])
    func wrong(change: [String: String], name: String) {
        #expect(refused(change) == [name])
    }
}

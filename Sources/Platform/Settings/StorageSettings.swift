import Formats

/// Where private files are kept and for how long they can be downloaded.
public struct StorageSettings: Sendable, Equatable {
    /// A bucket of a service that speaks S3.
    public struct S3: Sendable, Equatable {
        /// Scheme, host and port.
        public var endpoint: String
        public var region: String
        public var bucket: String
        /// Before every key: empty, or with a slash at its end.
        public var prefix: String
        /// Whether the bucket's name is the host's first part.
        public var isInHost: Bool
        public var accessKey: String
        public var secretKey: Secret

        public init(
            endpoint: String, region: String, bucket: String, prefix: String = "", isInHost: Bool = false, accessKey: String, secretKey: Secret
        ) {
            self.endpoint = endpoint
            self.region = region
            self.bucket = bucket
            self.prefix = prefix
            self.isInHost = isInHost
            self.accessKey = accessKey
            self.secretKey = secretKey
        }
    }

    /// Nil keeps files below the private media root.
    public var s3: S3?
    /// How long a link to the bucket is good for.
    public var linkSeconds = 30
    public var downloadMinutes = 45
    public var downloadUses = 1
    /// Bytes of the disk that uploads leave free; 0 for none.
    public var freeMin: Int64 = 1 << 30
    /// How long the files of an inquiry are kept that nobody pays for.
    public var unpaidKeepDays = 30
    /// Bytes of all files together that came with inquiries nobody has paid for; nil for any number.
    public var unpaidMax: Int64? = 20 << 30

    public init() {}
}

extension Settings {
    static let storageVariables: [SettingVariable] = [
        SettingVariable(
            "STORAGE_KIND", in: "Files", standard: "local",
            "Where customers' files and finals are kept: local (below PRIVATE_MEDIA_ROOT) or s3 (a bucket of any service that speaks S3)."),
        SettingVariable(
            "STORAGE_S3_ENDPOINT", in: "Files", sample: "https://s3.eu-west-3.amazonaws.com",
            "With s3: scheme, host and port of the service. Customers' browsers are sent there too."),
        SettingVariable("STORAGE_S3_REGION", in: "Files", standard: "us-east-1", "With s3: the region that requests are signed for."),
        SettingVariable(
            "STORAGE_S3_BUCKET", in: "Files", sample: "quittance-files", "With s3: the bucket. It must exist, and nobody else may read it."),
        SettingVariable("STORAGE_S3_PREFIX", in: "Files", sample: "shop", "With s3: what stands before every key, so that a bucket can be shared."),
        SettingVariable(
            "STORAGE_S3_ADDRESSING", in: "Files", standard: "path",
            "With s3: path where the bucket's name is the first part of the path, host where it is the first part of the host."),
        SettingVariable("STORAGE_S3_ACCESS_KEY", in: "Files", sample: "AKIA...", "With s3: the id of our key."),
        SettingVariable(
            "STORAGE_S3_SECRET_KEY", in: "Files", sample: "...", .secret,
            "With s3: the key itself. It may get, put and delete objects of the bucket, and list it."),
        SettingVariable(
            "STORAGE_LINK_SECONDS", in: "Files", standard: "30",
            "With s3: how many seconds the link is good for that a used download leads to, 5 to 300."),
        SettingVariable(
            "DOWNLOAD_TTL_MINUTES", in: "Files", standard: "45", "How many minutes a download link is good for after it was issued, 1 to 129600."),
        SettingVariable("DOWNLOAD_MAX_USES", in: "Files", standard: "1", "How often a download link can be used, 1 to 100."),
        SettingVariable(
            "STORAGE_FREE_MIN_MIB", in: "Files", standard: "1024",
            "With local: forms with files are refused while the disk has fewer MiB free; 0 takes them until it is full."),
        SettingVariable(
            "INQUIRY_KEEP_DAYS", in: "Files", standard: "30",
            "How many days the files of an inquiry are kept that nobody pays for, 1 to 3650. Once money was seen they stay."),
        SettingVariable(
            "INQUIRY_FILES_MAX_MIB", in: "Files", standard: "20480",
            "How many MiB all files of unpaid inquiries may have together before forms with files are refused; 0 for any number."),
    ]
}

extension SettingsReader {
    private enum StorageKind: String, CaseIterable { case local, s3 }
    private enum Addressing: String, CaseIterable { case path, host }

    mutating func storage() -> StorageSettings {
        var storage = StorageSettings()
        let kind = choice("STORAGE_KIND", StorageKind.self)
        let addressing = choice("STORAGE_S3_ADDRESSING", Addressing.self)
        storage.linkSeconds = whole("STORAGE_LINK_SECONDS", 5...300)
        storage.downloadMinutes = whole("DOWNLOAD_TTL_MINUTES", 1...129_600)
        storage.downloadUses = whole("DOWNLOAD_MAX_USES", 1...100)
        storage.freeMin = Int64(whole("STORAGE_FREE_MIN_MIB", 0...1_000_000_000)) << 20
        storage.unpaidKeepDays = whole("INQUIRY_KEEP_DAYS", 1...3650)
        let unpaidMiB = Int64(whole("INQUIRY_FILES_MAX_MIB", 0...1_000_000_000))
        storage.unpaidMax = unpaidMiB == 0 ? nil : unpaidMiB << 20
        if kind == .s3 { storage.s3 = bucket(isInHost: addressing == .host) }
        return storage
    }

    private mutating func bucket(isInHost: Bool) -> StorageSettings.S3 {
        for name in ["STORAGE_S3_ENDPOINT", "STORAGE_S3_BUCKET", "STORAGE_S3_ACCESS_KEY", "STORAGE_S3_SECRET_KEY"] where raw(name) == nil {
            problem(name, "it is not set", "a must where STORAGE_KIND is s3", "\(name)=…")
        }
        let endpoint = raw("STORAGE_S3_ENDPOINT") == nil ? nil : url("STORAGE_S3_ENDPOINT", schemes: ["https", "http"])
        if let parts = endpoint.flatMap({ URLParts($0) }), !parts.path.isEmpty || parts.query != nil || parts.user != nil {
            problem(
                "STORAGE_S3_ENDPOINT", "it is more than an endpoint", "scheme, host and port, and nothing behind",
                "STORAGE_S3_ENDPOINT=https://s3.eu-west-3.amazonaws.com")
        }
        let bucket = raw("STORAGE_S3_BUCKET") ?? ""
        if !bucket.isEmpty, !(3...63).contains(bucket.utf8.count) || !Slug.isValid(bucket, most: 63) {
            problem(
                "STORAGE_S3_BUCKET", "it is not the name of a bucket", "3 to 63 letters, digits, '-', '_' or '.'",
                "STORAGE_S3_BUCKET=quittance-files")
        }
        return StorageSettings.S3(
            endpoint: endpoint ?? "", region: value("STORAGE_S3_REGION") ?? "", bucket: bucket, prefix: storagePrefix(), isInHost: isInHost,
            accessKey: raw("STORAGE_S3_ACCESS_KEY") ?? "", secretKey: Secret(raw("STORAGE_S3_SECRET_KEY") ?? ""))
    }

    private mutating func storagePrefix() -> String {
        guard let text = raw("STORAGE_S3_PREFIX") else { return "" }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let names = parts.last == "" ? parts.dropLast() : parts[...]
        if (1...8).contains(names.count), names.allSatisfy({ Slug.isValid($0, most: 100) && $0 != "." && $0 != ".." }) {
            return names.joined(separator: "/") + "/"
        }
        problem("STORAGE_S3_PREFIX", "it is not such a prefix", "names of letters, digits, '-', '_' and '.', by slashes", "STORAGE_S3_PREFIX=shop")
        return ""
    }
}

"""Signs a body with the reference library: sign.py SECRET ID TIMESTAMP BODY prints the webhook-signature header."""

import sys
from datetime import datetime, timezone

from standardwebhooks.webhooks import Webhook

secret, message_id, timestamp, body = sys.argv[1:]
print(Webhook(secret).sign(msg_id=message_id, timestamp=datetime.fromtimestamp(int(timestamp), tz=timezone.utc), data=body))

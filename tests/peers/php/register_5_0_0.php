<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** Registers as OpenEMR 5.0.0 and 5.0.1: the address alone, and the only generation that reads the answer. */

namespace HostemrPeers;

require_once __DIR__ . '/registration.php';

const CLIENT = '5.0.0';

$arguments = Arguments::read($argv, ['email', 'path'], [], REGISTRATION_OUTCOMES);
$email = $arguments->email();
if (!looksLikeAnAddress($email)) {
    refuseToSend(CLIENT, $arguments);
}
$url = $arguments->baseUrl . $arguments->text('path', REGISTRATION_PATH);
$reply = postForm($url, ['email' => $email], verifyTls: false);
$productId = productId($reply);
$outcome = match (true) {
    // The productId becomes the installation's registration id: a 201 without one registers nothing.
    $reply->status === 201 && $productId !== null => 'registered',
    $reply->status === 400 => 'invalid-email',
    $reply->status === 409 => 'already-registered',
    default => 'failure',
};
conclude(CLIENT, $outcome, $reply, $arguments->text('expect', ''), ['productId' => $productId]);

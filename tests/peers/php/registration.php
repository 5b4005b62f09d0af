<?php

// SPDX-License-Identifier: GPL-3.0-or-later

declare(strict_types=1);

/** The registration request, which changed once: with 5.0.2, and the same ever since. */

namespace HostemrPeers;

require_once __DIR__ . '/client.php';

const REGISTRATION_PATH = '/api/registration';
const REGISTRATION_OUTCOMES = ['registered', 'already-registered', 'invalid-email', 'failure'];

/** The only check of the dialog before 7.0.4, made in the browser. */
function looksLikeAnAddress(string $email): bool
{
    return \str_contains($email, '@');
}

/** The productId of the reply's body, or null where a client would find none. */
function productId(Reply $reply): ?string
{
    $body = \json_decode($reply->body);
    $id = $body instanceof \stdClass ? ($body->productId ?? null) : null;
    return \is_string($id) && $id !== '' ? $id : null;
}

function refuseToSend(string $client, Arguments $arguments): never
{
    conclude($client, 'invalid-email', null, $arguments->text('expect', ''), ['productId' => null]);
}

/**
 * Register as every client since 5.0.2 does: the version is told, and only the status is looked at.
 *
 * 400 and 409 are not understood any more, so both end as the same failure, and the dialog returns.
 */
function registerWithVersion(
    string $client,
    Arguments $arguments,
    string $email,
    string $defaultVersion,
    bool $verifyTls
): never {
    $fields = ['email' => $email];
    if ($arguments->given('date')) {
        // Only snapshots between 5.0.1 and 5.0.2 sent it, and between these two fields.
        $fields['date'] = \date('Y-m-d H:i:s');
    }
    $fields['version'] = $arguments->text('version', $defaultVersion);
    $distribution = $arguments->text('distribution', '');
    if ($distribution !== '') {
        // Known only where a container image sets its tag in the environment.
        $fields['distribution'] = $distribution;
    }
    $reply = postForm($arguments->baseUrl . $arguments->text('path', REGISTRATION_PATH), $fields, $verifyTls);
    $outcome = $reply->status === 201 ? 'registered' : 'failure';
    // The client does not read the body; its productId is printed for the tests alone.
    conclude($client, $outcome, $reply, $arguments->text('expect', ''), ['productId' => productId($reply)]);
}

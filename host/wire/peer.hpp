#pragma once

// Who sits at the other end of the control socket?
namespace parley {

// Same user, and its process can be read and has NoNewPrivs unset. Whatever cannot be told is no.
bool is_trusted_peer(int unix_socket);

}  // namespace parley

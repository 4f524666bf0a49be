// SPDX-License-Identifier: Apache-2.0
// Speaks the frames of the application interface without a library, as any language can: writes a line into the device's
// log, is watched, and prints what the device answers.
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

class Device {
public:
    Device() : stream_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        const char *path = std::getenv("ARMILLARY_APPLICATION_SOCKET");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) throw std::runtime_error("no interface");
        std::strcpy(address.sun_path, path);
        if (connect(stream_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) throw std::runtime_error("connect");
    }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;
    ~Device() { close(stream_); }

    // A request is a JSON object with its length before it in four bytes, big endian; so is its answer.
    std::string ask(const std::string &method, const std::string &parameters = "{}") {
        std::string body = R"({"id":)" + std::to_string(++number_) + R"(,"method":")" + method + R"(","parameters":)" + parameters + "}";
        std::string frame;
        for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(body.size() >> shift);
        frame += body;
        for (std::size_t done = 0; done < frame.size();) {
            ssize_t count = send(stream_, frame.data() + done, frame.size() - done, MSG_NOSIGNAL);
            if (count <= 0) throw std::runtime_error("send");
            done += static_cast<std::size_t>(count);
        }
        std::uint32_t size = 0;
        for (char byte : take(4)) size = size << 8 | static_cast<unsigned char>(byte);
        return take(size);
    }

private:
    std::string take(std::size_t size) {
        std::string data(size, '\0');
        for (std::size_t done = 0; done < size;) {
            ssize_t count = recv(stream_, data.data() + done, size - done, 0);
            if (count <= 0) throw std::runtime_error("the device has closed the connection");
            done += static_cast<std::size_t>(count);
        }
        return data;
    }

    int stream_;
    std::uint64_t number_ = 0;
};

int main() {
    Device device;
    device.ask("log.write", R"({"text": "C++: started"})");
    std::cout << "describe " << device.ask("interface.describe") << std::endl;
    std::cout << "memory " << device.ask("memory.statistics") << std::endl;
    device.ask("health.watch", R"({"within_s": 10})");
    std::cout << "watched" << std::endl;
    for (;;) {
        std::this_thread::sleep_for(std::chrono::seconds(1));
        device.ask("health.beat");
    }
}

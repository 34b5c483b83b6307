// Work that waits for others to go on: a coroutine. Who awaits one starts it and goes on when it
// is done; exceptions go the same way.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace kvbench {

class [[nodiscard]] Work {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    // Hands over to who awaits this work, if anybody does.
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(Handle done) noexcept {
        const auto next = done.promise().awaiting;
        return next ? next : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };

    Work get_return_object() { return Work(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { error = std::current_exception(); }

    std::coroutine_handle<> awaiting;
    std::exception_ptr error;
  };

  Work(Work&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Work& operator=(Work&&) = delete;
  ~Work() {
    if (handle_) handle_.destroy();
  }

  // Of the outermost work, which nobody awaits: runs until it waits for the first time.
  void start() { handle_.resume(); }
  // Throws what ended it.
  bool is_done() const {
    if (handle_.done() && handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return handle_.done();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  void await_resume() const { is_done(); }

 private:
  explicit Work(Handle handle) : handle_(handle) {}

  Handle handle_;
};

}  // namespace kvbench

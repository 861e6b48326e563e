;; A plugin of Navidrome that hands each call to a server of soundalike and its answer back.
;;
;; Assembled by `python scripts/assemble_navidrome_plugin.py`, which needs PyPI's wasmtime.
;;
;; What the plugin knows of a call is its name. The request is
;;   {"call": NAME, "input": what Navidrome gave}
;; and the body of the answer, an object, is what Navidrome gets. Anything else becomes the error of
;; the call. Where the server is and its token stand in two slots at the end of this file, which
;; `soundalike navidrome-plugin` fills in; the values `url` and `token` of the plugin's configuration
;; in Navidrome come first.
;;
;; Texts are given as pairs (start, end) of addresses. Everything of one call is appended to the
;; memory from $heap on, and the next call begins there again.
(module
  ;; The memory that host and plugin share, reached by handles.
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  ;; Navidrome's HTTP, allowed by `permissions.http` of the manifest.
  (import "extism:host/user" "http_send" (func $http_send (param i64) (result i64)))

  (memory (export "memory") 1)
  (global $heap i32 (i32.const 4096))
  ;; Where the next byte is written.
  (global $end (mut i32) (i32.const 4096))
  (global $base64 i32 (i32.const 2048))

  ;; ---- Writing ------------------------------------------------------------------------------

  (func $reserve (param $bytes i32)
    (local $lacking i32)
    (local.set $lacking
      (i32.sub
        (i32.add (global.get $end) (local.get $bytes))
        (i32.shl (memory.size) (i32.const 16))))
    (if (i32.gt_s (local.get $lacking) (i32.const 0))
      (then
        (if (i32.eq
              (memory.grow
                (i32.add (i32.shr_u (local.get $lacking) (i32.const 16)) (i32.const 1)))
              (i32.const -1))
          (then unreachable)))))

  (func $put (param $byte i32)
    (call $reserve (i32.const 1))
    (i32.store8 (global.get $end) (local.get $byte))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))

  (func $put_text (param $start i32) (param $stop i32)
    (local $bytes i32)
    (local.set $bytes (i32.sub (local.get $stop) (local.get $start)))
    (call $reserve (local.get $bytes))
    (memory.copy (global.get $end) (local.get $start) (local.get $bytes))
    (global.set $end (i32.add (global.get $end) (local.get $bytes))))

  ;; A text that ends with a zero.
  (func $put_literal (param $start i32)
    (call $put_text (local.get $start) (call $end_of (local.get $start))))

  (func $end_of (param $start i32) (result i32)
    (loop $next
      (if (i32.load8_u (local.get $start))
        (then
          (local.set $start (i32.add (local.get $start) (i32.const 1)))
          (br $next))))
    (local.get $start))

  ;; The inside of a JSON string; control characters are left out.
  (func $put_json (param $start i32) (param $stop i32)
    (local $byte i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $start) (local.get $stop)))
        (local.set $byte (i32.load8_u (local.get $start)))
        (local.set $start (i32.add (local.get $start) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $byte) (i32.const 32)))
        (if (i32.or
              (i32.eq (local.get $byte) (i32.const 34))
              (i32.eq (local.get $byte) (i32.const 92)))
          (then (call $put (i32.const 92))))
        (call $put (local.get $byte))
        (br $next))))

  ;; At most 300 bytes of a text from elsewhere for a message: what is not printable ASCII becomes
  ;; a question mark, since a cut could go through a character; the backslashes of JSON are left
  ;; out.
  (func $put_plain (param $start i32) (param $stop i32)
    (local $byte i32)
    (if (i32.gt_u (i32.sub (local.get $stop) (local.get $start)) (i32.const 300))
      (then (local.set $stop (i32.add (local.get $start) (i32.const 300)))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $start) (local.get $stop)))
        (local.set $byte (i32.load8_u (local.get $start)))
        (local.set $start (i32.add (local.get $start) (i32.const 1)))
        (br_if $next (i32.eq (local.get $byte) (i32.const 92)))
        (if (i32.gt_u (i32.sub (local.get $byte) (i32.const 32)) (i32.const 94))
          (then (local.set $byte (i32.const 63))))
        (call $put (local.get $byte))
        (br $next))))

  (func $put_base64 (param $start i32) (param $stop i32)
    (local $left i32)
    (local $bits i32)
    (block $done
      (loop $next
        (local.set $left (i32.sub (local.get $stop) (local.get $start)))
        (br_if $done (i32.le_s (local.get $left) (i32.const 0)))
        ;; Bytes behind the text are cut off by the padding.
        (call $reserve (i32.const 8))
        (local.set $bits
          (i32.or
            (i32.shl (i32.load8_u (local.get $start)) (i32.const 16))
            (i32.or
              (i32.shl
                (select
                  (i32.load8_u offset=1 (local.get $start))
                  (i32.const 0)
                  (i32.gt_s (local.get $left) (i32.const 1)))
                (i32.const 8))
              (select
                (i32.load8_u offset=2 (local.get $start))
                (i32.const 0)
                (i32.gt_s (local.get $left) (i32.const 2))))))
        (call $put_sextet (i32.shr_u (local.get $bits) (i32.const 18)))
        (call $put_sextet (i32.shr_u (local.get $bits) (i32.const 12)))
        (if (i32.gt_s (local.get $left) (i32.const 1))
          (then (call $put_sextet (i32.shr_u (local.get $bits) (i32.const 6))))
          (else (call $put (i32.const 61))))
        (if (i32.gt_s (local.get $left) (i32.const 2))
          (then (call $put_sextet (local.get $bits)))
          (else (call $put (i32.const 61))))
        (local.set $start (i32.add (local.get $start) (i32.const 3)))
        (br $next))))

  (func $put_sextet (param $bits i32)
    (call $put
      (i32.load8_u
        (i32.add (global.get $base64) (i32.and (local.get $bits) (i32.const 63))))))

  ;; The bytes of a text in base64; it ends at its padding.
  (func $put_decoded (param $start i32) (param $stop i32)
    (local $bits i32)
    (local $known i32)
    (local $value i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $start) (local.get $stop)))
        (local.set $value (call $sextet (i32.load8_u (local.get $start))))
        (br_if $done (i32.eq (local.get $value) (i32.const 64)))
        (local.set $start (i32.add (local.get $start) (i32.const 1)))
        (local.set $bits
          (i32.or (i32.shl (local.get $bits) (i32.const 6)) (local.get $value)))
        (local.set $known (i32.add (local.get $known) (i32.const 6)))
        (if (i32.ge_u (local.get $known) (i32.const 8))
          (then
            (local.set $known (i32.sub (local.get $known) (i32.const 8)))
            (call $put
              (i32.and
                (i32.shr_u (local.get $bits) (local.get $known))
                (i32.const 255)))))
        (br $next))))

  ;; The value of a letter of base64; 64 where it is none.
  (func $sextet (param $letter i32) (result i32)
    (local $value i32)
    (loop $next
      (if (i32.ne
            (i32.load8_u (i32.add (global.get $base64) (local.get $value)))
            (local.get $letter))
        (then
          (local.set $value (i32.add (local.get $value) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $value) (i32.const 64))))))
    (local.get $value))

  ;; ---- Shared memory ------------------------------------------------------------------------

  (func $put_input
    (local $at i64)
    (block $done
      (loop $next
        (br_if $done (i64.ge_u (local.get $at) (call $input_length)))
        (call $put (call $input_load_u8 (local.get $at)))
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (br $next))))

  (func $put_shared (param $handle i64)
    (local $left i64)
    (local.set $left (call $length (local.get $handle)))
    (block $done
      (loop $next
        (br_if $done (i64.lt_u (local.get $left) (i64.const 8)))
        (call $reserve (i32.const 8))
        (i64.store (global.get $end) (call $load_u64 (local.get $handle)))
        (global.set $end (i32.add (global.get $end) (i32.const 8)))
        (local.set $handle (i64.add (local.get $handle) (i64.const 8)))
        (local.set $left (i64.sub (local.get $left) (i64.const 8)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $left)))
        (call $put (call $load_u8 (local.get $handle)))
        (local.set $handle (i64.add (local.get $handle) (i64.const 1)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (br $next))))

  ;; The handle of a copy of a text.
  (func $share (param $start i32) (param $stop i32) (result i64)
    (local $handle i64)
    (local $at i64)
    (local.set $handle
      (call $alloc (i64.extend_i32_u (i32.sub (local.get $stop) (local.get $start)))))
    (local.set $at (local.get $handle))
    (block $done
      (loop $next
        (br_if $done
          (i32.lt_u (i32.sub (local.get $stop) (local.get $start)) (i32.const 8)))
        (call $store_u64 (local.get $at) (i64.load (local.get $start)))
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (local.set $start (i32.add (local.get $start) (i32.const 8)))
        (br $next)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $start) (local.get $stop)))
        (call $store_u8 (local.get $at) (i32.load8_u (local.get $start)))
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (local.set $start (i32.add (local.get $start) (i32.const 1)))
        (br $next)))
    (local.get $handle))

  ;; A value of the configuration; where there is none, what stands in its slot.
  (func $put_setting (param $name i32) (param $slot i32)
    (local $handle i64)
    (local $value i64)
    (local $start i32)
    (local.set $handle
      (call $share (local.get $name) (call $end_of (local.get $name))))
    (local.set $start (global.get $end))
    (local.set $value (call $config_get (local.get $handle)))
    ;; 0 is no handle: not every runtime says that what it means has no length.
    (if (i64.ne (local.get $value) (i64.const 0))
      (then (call $put_shared (local.get $value))))
    (call $free (local.get $handle))
    (if (i32.eq (local.get $start) (global.get $end))
      (then (call $put_literal (local.get $slot)))))

  ;; ---- Reading JSON -------------------------------------------------------------------------

  (func $after_blanks (param $at i32) (param $stop i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $stop)))
        (br_if $done (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 32)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $at))

  ;; The address behind a string, which begins at its quotation mark.
  (func $after_string (param $at i32) (param $stop i32) (result i32)
    (local $byte i32)
    (block $done
      (loop $next
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $done (i32.ge_u (local.get $at) (local.get $stop)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 92))
          (then
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (br_if $next (i32.ne (local.get $byte) (i32.const 34)))))
    (i32.add (local.get $at) (i32.const 1)))

  ;; The address behind a value: of a string, or of an object or a list by its brackets, or of the
  ;; letters of a number or a word.
  (func $after_value (param $at i32) (param $stop i32) (result i32)
    (local $byte i32)
    (local $depth i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $stop)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 34))
          (then
            (local.set $at (call $after_string (local.get $at) (local.get $stop)))
            (br_if $next (local.get $depth))
            (br $done)))
        (block $counted
          ;; { and [, which differ from } and ] by 2.
          (if (i32.eq (i32.or (local.get $byte) (i32.const 32)) (i32.const 123))
            (then
              (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
              (br $counted)))
          (if (i32.eq (i32.or (local.get $byte) (i32.const 32)) (i32.const 125))
            (then
              (br_if $done (i32.eqz (local.get $depth)))
              (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
              (if (i32.eqz (local.get $depth))
                (then
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (br $done)))
              (br $counted)))
          ;; A comma or a blank ends what has no brackets.
          (if (i32.or
                (i32.eq (local.get $byte) (i32.const 44))
                (i32.le_u (local.get $byte) (i32.const 32)))
            (then (br_if $done (i32.eqz (local.get $depth))))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $at))

  ;; Where the value of a member begins, by its name without quotation marks; 0: there is none.
  (func $member (param $at i32) (param $stop i32) (param $name i32) (result i32)
    (local $key i32)
    (local $behind i32)
    (local.set $at (call $after_blanks (local.get $at) (local.get $stop)))
    (if (i32.ge_u (local.get $at) (local.get $stop)) (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 123))
      (then (return (i32.const 0))))
    (loop $next
      (local.set $key
        (call $after_blanks
          (i32.add (local.get $at) (i32.const 1))
          (local.get $stop)))
      (local.set $behind (call $after_string (local.get $key) (local.get $stop)))
      ;; Behind the colon.
      (local.set $at
        (call $after_blanks
          (i32.add
            (call $after_blanks (local.get $behind) (local.get $stop))
            (i32.const 1))
          (local.get $stop)))
      (if (i32.ge_u (local.get $at) (local.get $stop)) (then (return (i32.const 0))))
      (if (call $is_text
            (i32.add (local.get $key) (i32.const 1))
            (i32.sub (local.get $behind) (i32.const 1))
            (local.get $name))
        (then (return (local.get $at))))
      (local.set $at
        (call $after_blanks
          (call $after_value (local.get $at) (local.get $stop))
          (local.get $stop)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $stop))))
    (i32.const 0))

  (func $is_text (param $start i32) (param $stop i32) (param $literal i32) (result i32)
    (loop $next
      (if (i32.ge_u (local.get $start) (local.get $stop))
        (then (return (i32.eqz (i32.load8_u (local.get $literal))))))
      (if (i32.ne (i32.load8_u (local.get $start)) (i32.load8_u (local.get $literal)))
        (then (return (i32.const 0))))
      (local.set $start (i32.add (local.get $start) (i32.const 1)))
      (local.set $literal (i32.add (local.get $literal) (i32.const 1)))
      (br $next))
    unreachable)

  ;; ---- The pipe -----------------------------------------------------------------------------

  ;; Make what was written from an address on the error of the call.
  (func $fail (param $start i32) (result i32)
    (call $error_set (call $share (local.get $start) (global.get $end)))
    (i32.const -1))

  (func $pipe (param $name i32) (result i32)
    (local $body i32)
    (local $url i32)
    (local $token i32)
    (local $request i32)
    (local $answer i32)
    (local $handle i64)
    (global.set $end (global.get $heap))

    (local.set $body (global.get $end))
    (call $put_literal (i32.const 16))  ;; {"call":"
    (call $put_literal (local.get $name))
    (call $put_literal (i32.const 32))  ;; ","input":
    (call $put_input)
    (call $put (i32.const 125))

    (local.set $url (global.get $end))
    (call $put_setting (i32.const 48) (i32.const 3087))
    (local.set $token (global.get $end))
    (call $put_setting (i32.const 56) (i32.const 3601))
    (local.set $request (global.get $end))
    (if (i32.eq (local.get $url) (local.get $token))
      (then
        (call $put_literal (i32.const 640))
        (return (call $fail (local.get $request)))))

    (call $put_literal (i32.const 64))  ;; {"request":{"method":"POST","url":"
    (call $put_json
      (local.get $url)
      (call $without_slashes (local.get $url) (local.get $token)))
    (call $put_literal (i32.const 128))  ;; the path and headers
    (if (i32.ne (local.get $token) (local.get $request))
      (then
        (call $put_literal (i32.const 256))  ;; ,"Authorization":"Bearer
        (call $put_json (local.get $token) (local.get $request))
        (call $put (i32.const 34))))
    (call $put_literal (i32.const 320))  ;; the limits
    (call $put_base64 (local.get $body) (local.get $url))
    (call $put_literal (i32.const 448))  ;; "}}

    (local.set $handle (call $share (local.get $request) (global.get $end)))
    (local.set $answer (global.get $end))
    (call $put_answer (local.get $handle))
    (call $free (local.get $handle))
    (call $hand_back (local.get $answer) (global.get $end)))

  (func $put_answer (param $request i64)
    (local $handle i64)
    (local.set $handle (call $http_send (local.get $request)))
    (if (i64.ne (local.get $handle) (i64.const 0))
      (then
        (call $put_shared (local.get $handle))
        (call $free (local.get $handle)))))

  (func $without_slashes (param $start i32) (param $stop i32) (result i32)
    (local $last i32)
    (block $done
      (loop $next
        (br_if $done (i32.le_u (local.get $stop) (local.get $start)))
        (local.set $last (i32.load8_u (i32.sub (local.get $stop) (i32.const 1))))
        ;; Slashes, blanks and control characters.
        (br_if $done
          (i32.and
            (i32.ne (local.get $last) (i32.const 47))
            (i32.gt_u (local.get $last) (i32.const 32))))
        (local.set $stop (i32.sub (local.get $stop) (i32.const 1)))
        (br $next)))
    (local.get $stop))

  ;; What http_send says: {"result":{"statusCode":200,"body":BASE64}} or {"error":TEXT}.
  (func $hand_back (param $start i32) (param $stop i32) (result i32)
    (local $error i32)
    (local $result i32)
    (local $status i32)
    (local $body i32)
    (local.set $error
      (call $member (local.get $start) (local.get $stop) (i32.const 480)))
    (if (local.get $error)
      (then
        (if (i32.gt_u
              (i32.sub
                (call $after_value (local.get $error) (local.get $stop))
                (local.get $error))
              (i32.const 2))
          (then
            (return (call $not_reached (local.get $error) (local.get $stop)))))))
    (local.set $result
      (call $member (local.get $start) (local.get $stop) (i32.const 488)))
    (if (i32.eqz (local.get $result))
      (then (return (call $unreadable))))
    (local.set $status
      (call $member (local.get $result) (local.get $stop) (i32.const 496)))
    (if (i32.eqz (local.get $status))
      (then (return (call $unreadable))))
    (local.set $body
      (call $member (local.get $result) (local.get $stop) (i32.const 512)))
    (local.set $start (global.get $end))
    (if (local.get $body)
      (then
        (call $put_decoded
          (i32.add (local.get $body) (i32.const 1))
          (local.get $stop))))
    (if (i32.eqz
          (call $is_text
            (local.get $status)
            (call $after_value (local.get $status) (local.get $stop))
            (i32.const 520)))
      (then
        (return
          (call $refused (local.get $status) (local.get $stop) (local.get $start)))))
    (if (i32.eqz (call $is_object (local.get $start) (global.get $end)))
      (then (return (call $garbled (local.get $start)))))
    (call $output_set
      (call $share (local.get $start) (global.get $end))
      (i64.extend_i32_u (i32.sub (global.get $end) (local.get $start))))
    (i32.const 0))

  (func $is_object (param $start i32) (param $stop i32) (result i32)
    (local.set $start (call $after_blanks (local.get $start) (local.get $stop)))
    (if (i32.ge_u (local.get $start) (local.get $stop)) (then (return (i32.const 0))))
    (i32.eq (i32.load8_u (local.get $start)) (i32.const 123)))

  ;; The host's own error, between its quotation marks.
  (func $not_reached (param $error i32) (param $stop i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $end))
    (call $put_literal (i32.const 704))
    (call $put_plain
      (i32.add (local.get $error) (i32.const 1))
      (i32.sub
        (call $after_value (local.get $error) (local.get $stop))
        (i32.const 1)))
    (call $fail (local.get $start)))

  (func $unreadable (result i32)
    (local $start i32)
    (local.set $start (global.get $end))
    (call $put_literal (i32.const 768))
    (call $fail (local.get $start)))

  (func $refused (param $status i32) (param $stop i32) (param $body i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $end))
    (call $put_literal (i32.const 832))
    (call $put_plain
      (local.get $status)
      (call $after_value (local.get $status) (local.get $stop)))
    (call $put (i32.const 58))
    (call $put (i32.const 32))
    (call $put_plain (local.get $body) (local.get $start))
    (call $fail (local.get $start)))

  (func $garbled (param $body i32) (result i32)
    (local $start i32)
    (local.set $start (global.get $end))
    (call $put_literal (i32.const 896))
    (call $put_plain (local.get $body) (local.get $start))
    (call $fail (local.get $start)))

  (func (export "nd_get_sonic_similar_tracks") (result i32) (call $pipe (i32.const 1024)))
  (func (export "nd_find_sonic_path") (result i32) (call $pipe (i32.const 1088)))
  (func (export "nd_get_similar_songs_by_track") (result i32) (call $pipe (i32.const 1152)))
  (func (export "nd_get_similar_songs_by_album") (result i32) (call $pipe (i32.const 1216)))
  (func (export "nd_get_similar_songs_by_artist") (result i32) (call $pipe (i32.const 1280)))

  ;; ---- Texts, each ended by the zeros between it and the next ----------------------------------

  (data (i32.const 16) "{\"call\":\"")
  (data (i32.const 32) "\",\"input\":")
  (data (i32.const 48) "url")
  (data (i32.const 56) "token")
  (data (i32.const 64) "{\"request\":{\"method\":\"POST\",\"url\":\"")
  (data (i32.const 128)
    "/api/v1/navidrome\",\"headers\":{\"Content-Type\":\"application/json\"")
  (data (i32.const 256) ",\"Authorization\":\"Bearer ")
  ;; Navidrome ends a call of a plugin after 30 seconds, and a request without a limit after 10.
  (data (i32.const 320) "},\"noFollowRedirects\":true,\"timeoutMs\":20000,\"body\":\"")
  (data (i32.const 448) "\"}}")
  (data (i32.const 480) "error")
  (data (i32.const 488) "result")
  (data (i32.const 496) "statusCode")
  (data (i32.const 512) "body")
  (data (i32.const 520) "200")
  (data (i32.const 640) "soundalike: the plugin's configuration lacks the url")
  (data (i32.const 704) "soundalike cannot be reached: ")
  (data (i32.const 768) "soundalike: Navidrome's http_send gave no answer")
  (data (i32.const 832) "soundalike answered with status ")
  (data (i32.const 896) "soundalike: the server at this url is another one, it answers ")
  (data (i32.const 1024) "nd_get_sonic_similar_tracks")
  (data (i32.const 1088) "nd_find_sonic_path")
  (data (i32.const 1152) "nd_get_similar_songs_by_track")
  (data (i32.const 1216) "nd_get_similar_songs_by_album")
  (data (i32.const 1280) "nd_get_similar_songs_by_artist")
  (data (i32.const 2048) "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  ;; The slots of 512 bytes: a name, then a text that ends at the first zero.
  (data (i32.const 3072)
    "SOUNDALIKE-URL=\00"
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    "..............................................................")
  (data (i32.const 3584)
    "SOUNDALIKE-TOKEN=\00"
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    ".............................................................."
    "............................................................")
)

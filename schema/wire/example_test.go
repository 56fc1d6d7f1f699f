package wire_test

import (
	"fmt"

	"github.com/fieldveil/fieldveil/schema/wire"
)

func ExampleParseFrame() {
	record := []byte("\x00\x00\x00\x00\x07content")
	id, n, err := wire.ParseFrame(record)
	fmt.Println(id, string(record[n:]), err)
	// Output: 7 content <nil>
}

func ExampleParseIndexes() {
	frame, _ := wire.AppendFrame(nil, 7)
	frame, _ = wire.AppendIndexes(frame, []int{1, 2})
	fmt.Printf("%x\n", frame)
	indexes, n, err := wire.ParseIndexes(frame[wire.FrameSize:])
	fmt.Println(indexes, n, err)
	// Output:
	// 0000000007040204
	// [1 2] 3 <nil>
}

func ExampleTopicName() {
	var subject wire.SubjectStrategy = wire.TopicName
	fmt.Println(subject("orders", false, "com.acme.Order"))
	// Output: orders-value
}

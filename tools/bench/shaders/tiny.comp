// As little as a dispatch can do: one workgroup writes a few numbers, or with EMPTY none, so that dispatches need not
// wait for one another.
#version 450
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
#ifdef EMPTY
void main() {}
#else
layout(push_constant) uniform Push { uint value; };
layout(set = 0, binding = 0, std430) writeonly buffer Output { uint results[]; };

void main() {
    results[gl_GlobalInvocationID.x] = value;
}
#endif
